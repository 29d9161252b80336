"""A result is stored as what it is, without its metadata, and alone."""

import hashlib
import io
import os
from pathlib import Path

import pytest
from PIL import Image

from services.worker.results import storage as module
from shared.errors import BadResult, StorageFailed, WrongKind
from shared.jobs.assets import Kind, asset_path
from shared.jobs.states import Step
from shared.store.assets import Assets
from shared.store.folder import Folder
from tests.services.worker import samples
from tests.services.worker.results.test_storage import (
    JOB,
    URL,
    answered,
    file_of,
    left_behind,
    storage_of,
)
from tests.services.worker.results.vendors import ANY_KIND, VENDOR

SECRET = b"a-secret-of-the-tests"
BODIES = {
    Kind.PNG: samples.png(),
    Kind.JPEG: samples.picture("JPEG", comment=SECRET),
    Kind.WEBP: samples.picture("WEBP", xmp=SECRET),
}
NAMES = {Kind.PNG: "image.png", Kind.JPEG: "image.jpg", Kind.WEBP: "image.webp"}


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FETCH_PAUSE_SECONDS", 0)


@pytest.mark.parametrize("kind", BODIES)
async def test_an_image_is_stored_as_what_it_is(tmp_path: Path, kind: Kind) -> None:
    storage = storage_of(answered(file_of(BODIES[kind])), tmp_path)
    asset = await storage.store(URL, JOB, step=Step.IMAGE, vendor=ANY_KIND)
    [path] = left_behind(tmp_path)
    body = path.read_bytes()
    assert path.name == NAMES[kind]
    assert asset.media_type == f"image/{kind.lower()}"
    assert (asset.size, asset.sha256) == (len(body), hashlib.sha256(body).hexdigest())
    assert SECRET not in body
    with Image.open(io.BytesIO(body)) as stored, Image.open(io.BytesIO(BODIES[kind])) as sent:
        assert (stored.format, stored.tobytes()) == (kind, sent.tobytes())


async def test_a_vendor_that_is_to_give_png_gives_nothing_else(tmp_path: Path) -> None:
    with pytest.raises(WrongKind, match="JPEG, not PNG"):
        await storage_of(answered(file_of(BODIES[Kind.JPEG])), tmp_path).store(
            URL, JOB, step=Step.IMAGE, vendor=VENDOR
        )
    assert left_behind(tmp_path) == []


async def test_the_image_of_a_later_attempt_is_the_only_one(tmp_path: Path) -> None:
    for kind in (Kind.PNG, Kind.WEBP, Kind.JPEG):
        storage = storage_of(answered(file_of(BODIES[kind])), tmp_path)
        await storage.store(URL, JOB, step=Step.IMAGE, vendor=ANY_KIND)
        assert [path.name for path in left_behind(tmp_path)] == [NAMES[kind]]


async def test_of_two_the_newer_one_counts(tmp_path: Path) -> None:
    """A worker may die between storing one and removing the other."""
    assets = Assets(Folder(tmp_path))
    assert assets.find(JOB, Step.IMAGE) is None
    for second, kind in enumerate(BODIES):
        path = asset_path(tmp_path, JOB, Step.IMAGE, kind=kind)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
        os.utime(path, (second, second))
        found = assets.find(JOB, Step.IMAGE)
        assert found is not None
        assert (assets.store.path(found.key), found.kind) == (path, kind)


async def test_a_file_that_is_not_the_same_twice_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was taken out is looked for once more in what is to be stored."""
    monkeypatch.setattr(module, "chunks", lambda _pieces, file: iter([file.read(), b""]))
    storage = storage_of(answered(file_of(BODIES[Kind.JPEG])), tmp_path)
    with pytest.raises(BadResult, match="without its metadata"):
        await storage.store(URL, JOB, step=Step.IMAGE, vendor=ANY_KIND)
    assert left_behind(tmp_path) == []


async def test_a_disk_that_is_full_by_then_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "chunks", full)
    storage = storage_of(answered(file_of(BODIES[Kind.WEBP])), tmp_path)
    with pytest.raises(StorageFailed, match="No space left"):
        await storage.store(URL, JOB, step=Step.IMAGE, vendor=ANY_KIND)
    assert left_behind(tmp_path) == []
