"""The checker: which files pass, what its process may not do, and what becomes of its deaths."""

import asyncio
import io
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from PIL import Image

from services.worker.results import checker as module
from services.worker.results.checker import COMMAND, Bounds, Checker, running_checker
from shared.errors import BadResult, RefusedForGood, StorageFailed
from tests.fixtures.processes import children, gone, peak
from tests.services.worker import hostile, samples
from tests.services.worker.results.helpers import KINDS, child_that, pid_of, put, stuck, there

shared_loop = pytest.mark.asyncio(loop_scope="module")
# What a child may have in all: it begins with some 40.
CHILD_MEGABYTES = 480
GOOD = {"image": samples.png(), "video": samples.mp4()}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def checker() -> AsyncIterator[Checker]:
    async with running_checker() as checker:
        yield checker


@shared_loop
async def test_missing_file_is_not_a_bad_result(checker: Checker, tmp_path: Path) -> None:
    with pytest.raises(StorageFailed, match="No such file"):
        await checker.check(tmp_path / "nothing", "image", KINDS["image"], io.BytesIO())


@shared_loop
async def test_hostile_file_is_a_bad_result_and_harmless(checker: Checker, tmp_path: Path) -> None:
    before = await pid_of(checker)
    for body, step, reason in (
        (hostile.mp4_of_claims(), "video", "claims|decoded"),
        (hostile.wide_mp4(), "video", "too large: 16000x16000"),
        (hostile.white_png(16_000, 16_000), "image", "DecompressionBomb"),
        (hostile.white_png(20_000, 1), "image", "too large: 20000x1"),
        (hostile.png_of_text(), "image", "decoded as PNG: ValueError"),
        (hostile.jpeg_of(16_000, 16_000), "image", "DecompressionBomb"),
        (hostile.webp_of(16_000, 16_000), "image", "too large|decoded"),
        (hostile.long_mp4(), "video", "longer than 600 s"),
        (hostile.mp4_of("mjpeg"), "video", "a kind that we don't decode"),
    ):
        with pytest.raises(BadResult, match=reason):
            await checker.check(put(tmp_path, body), step, KINDS[step], io.BytesIO())
        await checker.check(put(tmp_path, GOOD[step]), step, KINDS[step], io.BytesIO())
    assert await pid_of(checker) == before
    assert peak(before) < CHILD_MEGABYTES


@shared_loop
async def test_largest_allowed_files_pass(checker: Checker, tmp_path: Path) -> None:
    before = await pid_of(checker)
    for body, step in (
        (hostile.white_png(7680, 5200), "image"),
        (hostile.large("JPEG", progressive=True, subsampling=0), "image"),
        (hostile.large("WEBP", lossless=True, method=0, size=(4096, 4096)), "image"),
        (hostile.mp4_of("libx264", 4096, 2304), "video"),
    ):
        await checker.check(put(tmp_path, body), step, KINDS[step], io.BytesIO())
    assert await pid_of(checker) == before
    assert peak(before) < CHILD_MEGABYTES


@shared_loop
async def test_stored_picture_is_encoded_anew(checker: Checker, tmp_path: Path) -> None:
    out = io.BytesIO(b"of a try before".ljust(10**6))
    path = put(tmp_path, samples.picture("JPEG", comment=b"of somebody"))
    await checker.check(path, "image", KINDS["image"], out)
    assert out.getvalue().endswith(b"IEND\xaeB`\x82")
    with Image.open(out) as new, Image.open(path) as old:
        assert (new.format, new.tobytes()) == ("PNG", old.tobytes())


class Full(io.BytesIO):
    def write(self, data: Any, /) -> int:
        raise OSError(28, "No space left on device")


async def test_full_disk_is_not_the_files_fault(tmp_path: Path) -> None:
    path = put(tmp_path, samples.png())
    async with running_checker() as checker:
        with pytest.raises(OSError, match="No space left"):
            await checker.check(path, "image", KINDS["image"], Full())
        await checker.check(path, "image", KINDS["image"], io.BytesIO())


async def test_child_has_no_environment_and_no_files_and_writes_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CALLBACK_SECRET", "a-secret-of-the-tests")
    looks = """import json
    try: pathlib.Path(path.with_suffix('.new')).write_bytes(b'more')
    except OSError as error: refused = error.strerror
    fds = [fd for fd in os.listdir('/proc/self/fd') if int(fd) > 2]
    had = [os.path.realpath(f'/proc/self/fd/{fd}') for fd in fds]
    had = [it for it in had if not it.startswith('/proc/')]
    alone = os.getsid(0) == os.getpid()
    import resource
    most = [resource.getrlimit(it)[1] for it in (resource.RLIMIT_NOFILE, resource.RLIMIT_CORE)]
    raise child.Refused(json.dumps([dict(os.environ), had, refused, alone, most]))"""
    monkeypatch.setattr(module, "COMMAND", child_that(looks))
    with (tmp_path / "ours").open("wb") as ours:
        os.set_inheritable(ours.fileno(), True)
        async with running_checker() as checker:
            with pytest.raises(BadResult) as told:
                await checker.check(put(tmp_path, b"x"), "image", KINDS["image"], io.BytesIO())
    environment, files, refused, alone, (most_files, core) = json.loads(told.value.message)
    # What Python itself sets where there is no locale.
    assert set(environment) <= {"LC_CTYPE"}
    assert (files, refused, alone) == ([], "File too large", True)
    assert (0 < most_files < 100, core) == (True, 0)


@pytest.mark.parametrize("killed", [1, 2])
async def test_file_is_bad_after_two_killed_checks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed: int
) -> None:
    monkeypatch.setattr(module, "COMMAND", child_that(stuck(killed)))
    path = put(tmp_path, samples.png())
    async with running_checker() as checker:
        checking = asyncio.create_task(checker.check(path, "image", KINDS["image"], io.BytesIO()))
        for number in range(killed):
            await there(path.with_suffix(f".{number}"))
            os.kill(await pid_of(checker), signal.SIGKILL)
        if killed == 1:
            await checking
        else:
            with pytest.raises(BadResult, match="twice"):
                await checking
            await checker.check(path, "image", KINDS["image"], io.BytesIO())


@pytest.mark.parametrize(
    "does",
    [
        "while True: pass",
        "taken = bytearray(2**30)",
        "os.abort()",
        "print('{}', flush=True)",
        "print('x' * 200_000, flush=True)",
        "out.write(bytes(200_000))",
    ],
)
async def test_child_that_overruns_or_prints_garbage_makes_the_file_bad(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, does: str
) -> None:
    monkeypatch.setattr(module, "COMMAND", child_that(does))
    monkeypatch.setattr(module, "LONGEST_ANSWER", 100_000)
    monkeypatch.setattr(module, "TRIES", 1)
    # Each ends by what it may not do, and not because time is up.
    monkeypatch.setattr(module, "WALL_SECONDS", 3600)
    async with running_checker() as checker:
        with pytest.raises(BadResult, match="died"):
            await checker.check(put(tmp_path, samples.png()), "image", KINDS["image"], io.BytesIO())


async def test_slow_check_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "COMMAND", child_that(stuck(2)))
    monkeypatch.setattr(module, "WALL_SECONDS", 0.2)
    others = set(children(os.getpid()))
    async with running_checker() as checker:
        path = put(tmp_path, samples.png())
        with pytest.raises(BadResult, match="twice"):
            await checker.check(path, "image", KINDS["image"], io.BytesIO())
        monkeypatch.undo()
        await checker.check(path, "image", KINDS["image"], io.BytesIO())
        assert set(children(os.getpid())) - others == {await pid_of(checker)}
    assert set(children(os.getpid())) == others


async def test_cancelled_caller_leaves_no_verdict_to_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "COMMAND", child_that(stuck(1)))
    path = put(tmp_path, b"no image")
    async with running_checker() as checker:
        checking = asyncio.create_task(checker.check(path, "image", KINDS["image"], io.BytesIO()))
        await there(path.with_suffix(".0"))
        checking.cancel()
        await asyncio.gather(checking, return_exceptions=True)
        await checker.check(put(tmp_path, samples.png()), "image", KINDS["image"], io.BytesIO())


async def test_idle_death_of_the_child_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TRIES", 1)
    path = put(tmp_path, samples.png())
    async with running_checker() as checker:
        await checker.check(path, "image", KINDS["image"], io.BytesIO())
        os.kill(await pid_of(checker), signal.SIGKILL)
        await checker._child.result().wait()
        await checker.check(path, "image", KINDS["image"], io.BytesIO())


async def test_failed_start_of_the_child_postpones_the_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = put(tmp_path, samples.png())
    with monkeypatch.context() as patch:
        patch.setattr(module, "COMMAND", ("false",))
        async with running_checker() as checker:
            for _ in range(2):
                with pytest.raises(StorageFailed, match="can't be checked"):
                    await checker.check(path, "image", KINDS["image"], io.BytesIO())
            patch.undo()
            await checker.check(path, "image", KINDS["image"], io.BytesIO())


PARENT = """
import asyncio, io, sys
from pathlib import Path
from services.worker.results import checker
from tests.services.worker.results.helpers import child_that, stuck

async def main():
    checker.COMMAND = child_that(stuck(1))
    async with checker.running_checker() as it:
        await it.check(Path(sys.argv[1]), "image", ["PNG"], io.BytesIO())

asyncio.run(main())
"""


async def test_child_ends_with_its_parent(tmp_path: Path) -> None:
    path = put(tmp_path, samples.png())
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", PARENT, str(path))
    try:
        await there(path.with_suffix(".0"))
        [child] = children(parent.pid)
    finally:
        parent.kill()
        await parent.wait()
    await gone(child)


BOUNDS = Bounds(kinds=("JPEG", "PNG"), max_bytes=10_000_000, min_side=300, max_ratio=2.5)


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


@shared_loop
async def test_fitting_picture_is_taken_unchanged(checker: Checker, tmp_path: Path) -> None:
    for body in (drawn(300, 750), drawn(750, 300), drawn(512, 512, mode="RGBA")):
        fitted = await checker.fitted(put(tmp_path, body), BOUNDS)
        assert fitted == body


@shared_loop
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


@shared_loop
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


@shared_loop
async def test_largest_stored_picture_fits_into_memory(checker: Checker, tmp_path: Path) -> None:
    picture = put(tmp_path, hostile.white_png(8000, 5000))
    fitted = await checker.fitted(picture, replace(BOUNDS, kinds=("JPEG",)))
    assert fitted.startswith(b"\xff\xd8")
    assert peak(await pid_of(checker)) < CHILD_MEGABYTES


@shared_loop
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
