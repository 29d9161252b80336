"""What tells of a file's making is taken out; the picture stays, and so does a file without it."""

import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, PngImagePlugin

from services.worker.results.pieces import chunks
from shared.errors import BadResult, WrongKind
from shared.jobs.assets import KINDS, Kind
from shared.jobs.states import Step
from tests.services.worker import samples
from tests.services.worker.results.unconfined import check

SECRET = "a-secret-of-the-tests"
XMP = f"<x:xmpmeta>{SECRET}</x:xmpmeta>".encode()
PROFILE = b"icc profile of the tests".ljust(200, b"\0")
ANIMATED: dict[str, Any] = {"save_all": True, "append_images": [Image.new("RGB", (64, 48), "red")]}


def exif() -> Image.Exif:
    made = Image.Exif()
    made[0x010E] = SECRET
    return made


def png(**how: Any) -> bytes:
    info = PngImagePlugin.PngInfo()
    info.add_text("prompt", SECRET)
    info.add_text("workflow", SECRET * 100, zip=True)
    info.add_itxt("parameters", SECRET, "zh", "prompt")
    info.add(b"tIME", bytes([7, 234, 1, 1, 1, 1, 1]), after_idat=True)
    info.add(b"prVt", SECRET.encode())
    return samples.picture("PNG", pnginfo=info, exif=exif(), icc_profile=PROFILE, **how)


def of_pieces(body: bytes, folder: Path, step: Step = Step.IMAGE) -> bytes | None:
    """What is kept of a file; None where that is all."""
    path = folder / "result"
    path.write_bytes(body)
    pieces = check(path, step, KINDS[step]).pieces
    return None if pieces is None else b"".join(chunks(pieces, io.BytesIO(body)))


def opened(body: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(body))
    picture.load()
    return picture


TELLING = {
    "png": png(),
    "png with transparency": png(mode="LA"),
    "png with a palette": png(mode="P", transparency=3, dpi=(72, 72)),
    "animated png": png(save_all=True, append_images=[Image.new("RGB", (64, 48), "red")]),
    "png with more behind its end": samples.png() + SECRET.encode(),
    "jpeg": samples.picture(
        "JPEG", exif=exif(), xmp=XMP, comment=SECRET.encode(), icc_profile=PROFILE
    ),
    "progressive jpeg": samples.picture("JPEG", exif=exif(), progressive=True, quality=95),
    "jpeg of four inks": samples.picture("JPEG", "CMYK", exif=exif(), comment=SECRET.encode()),
    "jpeg with more behind its end": samples.picture("JPEG") + SECRET.encode(),
    "webp": samples.picture("WEBP", exif=exif(), xmp=XMP, icc_profile=PROFILE),
    "webp without loss": samples.picture("WEBP", "RGBA", lossless=True, xmp=XMP),
    "webp of an odd part": samples.picture("WEBP", "RGBA", xmp=XMP + b"x", exif=exif()),
    "webp with more behind its end": samples.picture("WEBP") + SECRET.encode(),
}
SILENT = {
    "png": samples.png(),
    "png with its colours": samples.picture("PNG", icc_profile=PROFILE, dpi=(72, 72)),
    "jpeg": samples.jpeg(),
    "jpeg with its colours": samples.picture("JPEG", icc_profile=PROFILE, progressive=True),
    "jpeg with restarts": samples.picture("JPEG", restart_marker_rows=1),
    "webp": samples.picture("WEBP"),
    "webp with its colours": samples.picture("WEBP", "RGBA", icc_profile=PROFILE),
}


@pytest.mark.parametrize("body", TELLING.values(), ids=list(TELLING))
def test_the_picture_is_kept_and_what_tells_of_its_making_is_not(
    tmp_path: Path, body: bytes
) -> None:
    kept = of_pieces(body, tmp_path)
    assert kept is not None
    assert SECRET.encode() not in kept
    before, after = opened(body), opened(kept)
    assert (after.mode, after.size, after.tobytes()) == (before.mode, before.size, before.tobytes())
    assert after.info.get("icc_profile") == before.info.get("icc_profile")
    assert after.info.get("transparency") == before.info.get("transparency")
    assert not set(after.info) & {"prompt", "workflow", "parameters", "exif", "xmp", "comment"}
    assert getattr(after, "n_frames", 1) == 1
    assert of_pieces(kept, tmp_path) is None


@pytest.mark.parametrize("body", SILENT.values(), ids=list(SILENT))
def test_a_file_that_tells_nothing_stays_as_it_is(tmp_path: Path, body: bytes) -> None:
    assert of_pieces(body, tmp_path) is None


def test_the_flags_of_a_webp_say_what_is_left(tmp_path: Path) -> None:
    kept = of_pieces(TELLING["webp"], tmp_path)
    assert kept is not None
    [extended] = [kept[at : at + 18] for at in (12,)]
    assert (extended[:4], extended[8]) == (b"VP8X", 0x20)
    assert int.from_bytes(kept[4:8], "little") + 8 == len(kept)


@pytest.mark.parametrize("index_first", [True, False])
def test_a_video_stays_as_it_came_with_the_labels_of_its_making(
    tmp_path: Path, index_first: bool
) -> None:
    body = samples.mp4(comment=SECRET, index_first=index_first)
    assert SECRET.encode() in body
    assert of_pieces(body, tmp_path, Step.VIDEO) is None


@pytest.mark.parametrize(
    "body", [samples.picture("WEBP", **ANIMATED), samples.picture("WEBP")[:12] + b"ANIM"]
)
def test_an_animated_webp_is_none_of_ours(tmp_path: Path, body: bytes) -> None:
    with pytest.raises((WrongKind, BadResult)):
        of_pieces(body, tmp_path)


def test_an_animated_webp_would_come_of_each_attempt(tmp_path: Path) -> None:
    with pytest.raises(WrongKind, match="animated"):
        of_pieces(samples.picture("WEBP", **ANIMATED), tmp_path)


def test_metadata_in_too_many_places_is_refused(tmp_path: Path) -> None:
    whole = samples.png()
    few, many = (
        whole[:33]
        + (samples.chunk(b"tEXt", b"a\0b") + samples.chunk(b"pHYs", bytes(9))) * count
        + whole[33:]
        for count in (900, 1100)
    )
    assert of_pieces(few, tmp_path) is not None
    with pytest.raises(BadResult, match="more places"):
        of_pieces(many, tmp_path)


def test_the_kinds_that_are_asked_for_alone_are_taken(tmp_path: Path) -> None:
    path = tmp_path / "result"
    path.write_bytes(samples.jpeg())
    assert check(path, Step.IMAGE, [Kind.PNG, Kind.JPEG]).kind is Kind.JPEG
    with pytest.raises(WrongKind, match="JPEG, not PNG or WEBP"):
        check(path, Step.IMAGE, [Kind.PNG, Kind.WEBP])
