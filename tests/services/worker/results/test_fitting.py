"""Stored pictures within what a vendor takes, brought there by the checker's process."""

import io
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
from PIL import Image

from services.worker.results.checker import COMMAND, Bounds, Checker, running_checker
from shared.errors import RefusedForGood, StorageFailed
from tests.fixtures.processes import peak
from tests.services.worker import hostile, samples
from tests.services.worker.results.helpers import pid_of, put
from tests.services.worker.results.test_checker import CHILD_MEGABYTES

pytestmark = pytest.mark.asyncio(loop_scope="module")

BOUNDS = Bounds(kinds=("JPEG", "PNG"), max_bytes=10_000_000, min_side=300, max_ratio=2.5)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def checker() -> AsyncIterator[Checker]:
    async with running_checker() as checker:
        yield checker


def drawn(width: int, height: int, mode: str = "RGB") -> bytes:
    file = io.BytesIO()
    Image.new(mode, (width, height), "teal").save(file, "PNG")
    return file.getvalue()


def noise(side: int) -> bytes:
    """As large as a PNG can be."""
    file = io.BytesIO()
    picture = Image.frombytes("RGB", (side, side), os.urandom(3 * side * side))
    picture.save(file, "PNG", compress_level=0)
    return file.getvalue()


async def test_fitting_picture_is_taken_unchanged(checker: Checker, tmp_path: Path) -> None:
    for body in (drawn(300, 750), drawn(750, 300), drawn(512, 512, mode="RGBA")):
        fitted = await checker.fitted(put(tmp_path, body), BOUNDS)
        assert fitted == body


async def test_other_picture_becomes_a_jpeg_of_the_same_size(
    checker: Checker, tmp_path: Path
) -> None:
    """One that is too large, of another kind, or with transparency."""
    for body, kinds in (
        (noise(1900), ("JPEG", "PNG")),
        (drawn(400, 400), ("JPEG",)),
        (drawn(400, 400, mode="RGBA"), ("JPEG",)),
    ):
        fitted = await checker.fitted(put(tmp_path, body), replace(BOUNDS, kinds=kinds))
        assert len(fitted) <= BOUNDS.max_bytes
        with Image.open(io.BytesIO(fitted)) as new, Image.open(io.BytesIO(body)) as old:
            assert (new.format, new.size) == ("JPEG", old.size)


async def test_impossible_picture_is_refused_for_good(checker: Checker, tmp_path: Path) -> None:
    for body, reason in (
        (drawn(299, 400), "299x400 pixels; .* sides of 300 or more"),
        (drawn(300, 751), "at most 2.5 times"),
        (samples.mp4(), "can't be read"),
        (samples.png()[:40], "can't be read"),
        (hostile.white_png(8000, 8000), "too many"),
    ):
        with pytest.raises(RefusedForGood, match=reason):
            await checker.fitted(put(tmp_path, body), BOUNDS)
    with pytest.raises(RefusedForGood, match="larger than 1000 bytes"):
        await checker.fitted(put(tmp_path, noise(300)), replace(BOUNDS, max_bytes=1000))
    with pytest.raises(StorageFailed, match="No such file"):
        await checker.fitted(tmp_path / "nothing", BOUNDS)


async def test_largest_stored_picture_fits_into_memory(checker: Checker, tmp_path: Path) -> None:
    picture = put(tmp_path, hostile.white_png(8000, 5000))
    fitted = await checker.fitted(picture, replace(BOUNDS, kinds=("JPEG",)))
    assert fitted.startswith(b"\xff\xd8")
    assert peak(await pid_of(checker)) < CHILD_MEGABYTES


async def test_picture_that_kills_the_child_is_refused_without_an_attempt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = COMMAND[3].replace(
        "main()",
        "import os\nfrom services.worker.results import child\n"
        "child.fit = lambda *_: os._exit(1)\nmain()",
    )
    monkeypatch.setattr("services.worker.results.checker.COMMAND", (*COMMAND[:3], code, COMMAND[4]))
    async with running_checker() as dying:
        with pytest.raises(RefusedForGood, match="died"):
            await dying.fitted(put(tmp_path, drawn(400, 400)), BOUNDS)
