"""The checker: which files pass, and what its process may not do."""

import json
import os
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

import pytest
import pytest_asyncio

from services.worker.results import checker as module
from services.worker.results.checker import Checker, running_checker
from services.worker.results.pieces import chunks
from shared.errors import BadResult, StorageFailed, WrongKind
from shared.jobs.assets import KINDS, Kind
from shared.jobs.states import Step
from tests.fixtures.proc import peak
from tests.services.worker import hostile, samples
from tests.services.worker.results.children import child_that, pid_of, put

shared_loop = pytest.mark.asyncio(loop_scope="module")
# What a child may have in all: it begins with some 40.
CHILD_MEGABYTES = 480
GOOD = {Step.IMAGE: samples.png(), Step.VIDEO: samples.mp4()}
# Made where they are tested, and not by every process that has read this file.
HOSTILE: dict[str, tuple[Callable[[], bytes], Step, str]] = {
    "an index of 60 million frames": (hostile.mp4_of_claims, Step.VIDEO, "claims|decoded"),
    "an index that fits into memory": (
        partial(hostile.mp4_of_claims, 10**6),
        Step.VIDEO,
        "claims more",
    ),
    "a video of 16000x16000": (hostile.wide_mp4, Step.VIDEO, "too large: 16000x16000"),
    "an image of 16000x16000": (hostile.wide_png, Step.IMAGE, "DecompressionBomb"),
    "an image of 8000x8000": (
        partial(hostile.white_png, 8000, 8000),
        Step.IMAGE,
        "too large: 8000x8000",
    ),
    "an image of one long row": (
        partial(hostile.white_png, 20_000, 1),
        Step.IMAGE,
        "too large: 20000x1",
    ),
    "a text of 64 megabytes": (hostile.png_of_text, Step.IMAGE, "decoded as PNG: ValueError"),
    "a jpeg of 16000x16000": (
        partial(hostile.jpeg_of, 16_000, 16_000),
        Step.IMAGE,
        "DecompressionBomb",
    ),
    "a webp of 16000x16000": (
        partial(hostile.webp_of, 16_000, 16_000),
        Step.IMAGE,
        "too large|decoded",
    ),
    "a video of hours": (hostile.long_mp4, Step.VIDEO, "longer than 600 s"),
    "a video of photographs": (
        partial(hostile.mp4_of, "mjpeg"),
        Step.VIDEO,
        "a kind that we don't decode",
    ),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def checker() -> AsyncIterator[Checker]:
    async with running_checker() as checker:
        yield checker


@shared_loop
@pytest.mark.parametrize("step", list(Step))
async def test_a_good_file_passes(checker: Checker, tmp_path: Path, step: Step) -> None:
    await checker.check(put(tmp_path, GOOD[step]), step, KINDS[step])


@shared_loop
async def test_one_of_another_kind_is_told_apart(checker: Checker, tmp_path: Path) -> None:
    with pytest.raises(WrongKind, match="JPEG, not PNG"):
        await checker.check(put(tmp_path, samples.jpeg()), Step.IMAGE, [Kind.PNG])


@shared_loop
async def test_one_that_is_not_there_is_no_bad_one(checker: Checker, tmp_path: Path) -> None:
    with pytest.raises(StorageFailed, match="No such file"):
        await checker.check(tmp_path / "nothing", Step.IMAGE, KINDS[Step.IMAGE])


@shared_loop
@pytest.mark.parametrize(("made", "step", "reason"), HOSTILE.values(), ids=list(HOSTILE))
async def test_a_hostile_file_is_a_bad_one_and_harms_nothing(
    checker: Checker, tmp_path: Path, made: Callable[[], bytes], step: Step, reason: str
) -> None:
    before = await pid_of(checker)
    with pytest.raises(BadResult, match=reason):
        await checker.check(put(tmp_path, made()), step, KINDS[step])
    await checker.check(put(tmp_path, GOOD[step]), step, KINDS[step])
    assert await pid_of(checker) == before
    assert peak(before) < CHILD_MEGABYTES


LARGEST: dict[str, tuple[Callable[[], bytes], Step]] = {
    "png": (partial(hostile.white_png, 7680, 5200), Step.IMAGE),
    "jpeg": (partial(hostile.large, "JPEG", progressive=True, subsampling=0), Step.IMAGE),
    "webp": (partial(hostile.large, "WEBP", lossless=True, method=0), Step.IMAGE),
    "mp4": (partial(hostile.mp4_of, "libx264", 4096, 2304), Step.VIDEO),
}


@shared_loop
@pytest.mark.parametrize(("made", "step"), LARGEST.values(), ids=list(LARGEST))
async def test_the_largest_files_that_are_allowed_pass(
    checker: Checker, tmp_path: Path, made: Callable[[], bytes], step: Step
) -> None:
    before = await pid_of(checker)
    await checker.check(put(tmp_path, made()), step, KINDS[step])
    assert await pid_of(checker) == before
    assert peak(before) < CHILD_MEGABYTES


@shared_loop
async def test_what_is_to_be_kept_is_told_along(checker: Checker, tmp_path: Path) -> None:
    path = put(tmp_path, samples.picture("JPEG", comment=b"of somebody"))
    kind, pieces = await checker.check(path, Step.IMAGE, KINDS[Step.IMAGE])
    assert kind is Kind.JPEG
    assert pieces is not None
    with path.open("rb") as file:
        assert b"".join(chunks(pieces, file)) == samples.jpeg()


@pytest.mark.parametrize(
    "told",
    [
        "kind='MP4', pieces=None",
        "kind='PNG', pieces=[['copy', 0, 10**9]]",
        "kind='PNG', pieces=[['copy', 0, 100]] * 1000",
        "kind='PNG', pieces=[['copy', 10**9, 10**9 + 5]]",
        "kind='PNG', pieces=[['copy', -5, 5]]",
        "kind='PNG', pieces=[['zeros', 10**9]]",
        "kind='PNG', pieces=[['zeros', -5]]",
        "kind='PNG', pieces=[['move', 0, 5]]",
        "kind='PNG', pieces=7",
    ],
)
async def test_a_child_that_tells_of_what_can_not_be_makes_the_file_a_bad_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: str
) -> None:
    lies = f"import json; print(json.dumps(dict(verdict='good', {told})), flush=True)"
    monkeypatch.setattr(module, "COMMAND", child_that(lies))
    async with running_checker() as checker:
        with pytest.raises(BadResult, match="twice"):
            await checker.check(put(tmp_path, samples.png()), Step.IMAGE, KINDS[Step.IMAGE])


async def test_a_child_has_no_environment_no_file_of_ours_and_writes_none(
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
    raise refusals.Refused(json.dumps([dict(os.environ), had, refused, alone]))"""
    monkeypatch.setattr(module, "COMMAND", child_that(looks))
    with (tmp_path / "ours").open("wb") as ours:
        os.set_inheritable(ours.fileno(), True)
        async with running_checker() as checker:
            with pytest.raises(BadResult) as told:
                await checker.check(put(tmp_path, b"x"), Step.IMAGE, KINDS[Step.IMAGE])
    environment, files, refused, alone = json.loads(told.value.message)
    # What Python itself sets where there is no locale.
    assert set(environment) <= {"LC_CTYPE"}
    assert (files, refused, alone) == ([], "File too large", True)
