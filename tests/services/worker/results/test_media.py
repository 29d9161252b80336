"""The media check: whole files of our kinds pass; cut, empty or huge ones are BadResult, whole
files of another kind are WrongKind."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import BadResult, WrongKind
from shared.jobs.assets import KINDS, Kind
from shared.jobs.states import Step
from tests.services.worker import samples
from tests.services.worker.results import unconfined

WHOLE = {
    "png": (samples.png(), Step.IMAGE),
    "jpeg": (samples.jpeg(), Step.IMAGE),
    "jpeg in passes": (samples.picture("JPEG", progressive=True), Step.IMAGE),
    "webp": (samples.picture("WEBP"), Step.IMAGE),
    "webp without loss": (samples.picture("WEBP", "RGBA", lossless=True), Step.IMAGE),
    "mp4": (samples.mp4(), Step.VIDEO),
    "mp4 with its index last": (samples.mp4(index_first=False), Step.VIDEO),
}
FOREIGN = [
    (b"", Step.IMAGE, "empty"),
    (b"", Step.VIDEO, "empty"),
    (b"<html>not found</html>", Step.IMAGE, "no PNG file"),
    (b"<html>not found</html>", Step.VIDEO, "no MP4 file"),
    (b"RIFF\x24\0\0\0WAVEfmt ", Step.IMAGE, "no PNG file"),
    (b"\x89PNG\r\n\x1a\n" + bytes(99), Step.IMAGE, "cut short|decoded"),
    (samples.png_of_size(9000, 9500), Step.IMAGE, "too large"),
    (samples.png_of_size(30_000, 30_000), Step.IMAGE, "DecompressionBomb"),
    (b"\0\0\0\x10ftypisom" + b"\0" * 500, Step.VIDEO, "cut short|decoded"),
]

OTHER_KINDS = [
    (samples.jpeg(), Step.IMAGE, "JPEG, not PNG"),
    (samples.jpeg()[:12], Step.VIDEO, "JPEG, not MP4"),
    (samples.png(), Step.VIDEO, "PNG, not MP4"),
    (samples.mp4(), Step.IMAGE, "MP4, not PNG"),
    (samples.picture("WEBP"), Step.IMAGE, "WEBP, not PNG"),
    (samples.picture("GIF"), Step.IMAGE, "GIF, not PNG"),
    (samples.picture("BMP"), Step.IMAGE, "BMP, not PNG"),
    (samples.picture("TIFF"), Step.IMAGE, "TIFF, not PNG"),
    (b"MM\0*" + b"\0" * 99, Step.IMAGE, "TIFF, not PNG"),
    (b"\0\0\0\x20ftypavif" + b"\0" * 99, Step.IMAGE, "AVIF, not PNG"),
    (b"\0\0\0\x18ftypheic" + b"\0" * 99, Step.IMAGE, "HEIC, not PNG"),
    (b"\0\0\0\x14ftypqt  " + b"\0" * 99, Step.VIDEO, "QuickTime, not MP4"),
    (b"RIFF\x24\0\0\0AVI LIST", Step.VIDEO, "AVI, not MP4"),
    (b"\x1aE\xdf\xa3" + b"\0" * 99, Step.VIDEO, "WebM, not MP4"),
]


def check(folder: Path, body: bytes, step: Step, kinds: tuple[Kind, ...] = ()) -> None:
    path = folder / "result"
    path.write_bytes(body)
    unconfined.check(path, step, kinds)


@pytest.mark.parametrize(("body", "step"), WHOLE.values(), ids=list(WHOLE))
def test_a_whole_file_passes(tmp_path: Path, body: bytes, step: Step) -> None:
    check(tmp_path, body, step, KINDS[step])


@pytest.mark.parametrize(("body", "step", "reason"), FOREIGN)
def test_what_is_no_result_is_refused(tmp_path: Path, body: bytes, step: Step, reason: str) -> None:
    with pytest.raises(BadResult, match=reason):
        check(tmp_path, body, step)


@pytest.mark.parametrize(("body", "step", "reason"), OTHER_KINDS)
def test_a_file_of_another_kind_is_none_that_another_attempt_would_mend(
    tmp_path: Path, body: bytes, step: Step, reason: str
) -> None:
    with pytest.raises(WrongKind, match=reason) as refused:
        check(tmp_path, body, step)
    assert not refused.value.retryable


@pytest.mark.parametrize("name", list(WHOLE))
@given(data=st.data())
def test_a_cut_file_is_refused_wherever_it_is_cut(
    tmp_path_factory: pytest.TempPathFactory, name: str, data: st.DataObject
) -> None:
    body, step = WHOLE[name]
    length = data.draw(st.integers(0, len(body) - 1))
    with pytest.raises(BadResult):
        check(tmp_path_factory.getbasetemp(), body[:length], step, KINDS[step])


@pytest.mark.parametrize("name", list(WHOLE))
@given(data=st.data())
def test_damage_is_refused_or_harmless_and_never_another_error(
    tmp_path_factory: pytest.TempPathFactory, name: str, data: st.DataObject
) -> None:
    body, step = WHOLE[name]
    damaged = bytearray(body)
    for place in data.draw(st.lists(st.integers(0, len(body) - 1), min_size=1, max_size=5)):
        damaged[place] = data.draw(st.integers(0, 255))
    with contextlib.suppress(BadResult, WrongKind):
        check(tmp_path_factory.getbasetemp(), bytes(damaged), step, KINDS[step])


def test_a_box_with_a_long_length_is_measured_too(tmp_path: Path) -> None:
    free = b"\0\0\0\x01free" + (16 + 5).to_bytes(8) + b"12345"
    check(tmp_path, samples.mp4() + free, Step.VIDEO)
    with pytest.raises(BadResult, match="cut short"):
        check(tmp_path, samples.mp4() + free[:-1], Step.VIDEO)
