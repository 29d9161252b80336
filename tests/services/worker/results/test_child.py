"""What is stored of a result: whole files of our kinds pass, a picture as its pixels alone."""

import contextlib
import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms, PngImagePlugin

from shared.errors import BadResult, WrongKind
from tests.services.worker import samples
from tests.services.worker.results import helpers
from tests.services.worker.results.helpers import KINDS, put

SECRET = "a-secret-of-the-tests"
XMP = f"<x:xmpmeta>{SECRET}</x:xmpmeta>".encode()
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
ANIMATED: dict[str, Any] = {"save_all": True, "append_images": [Image.new("RGB", (64, 48), "red")]}
WHOLE = {
    "png": (samples.png(), "image"),
    "jpeg": (samples.jpeg(), "image"),
    "jpeg in passes": (samples.picture("JPEG", progressive=True), "image"),
    "webp": (samples.picture("WEBP"), "image"),
    "webp without loss": (samples.picture("WEBP", "RGBA", lossless=True), "image"),
    "mp4": (samples.mp4(), "video"),
    "mp4 with its index last": (samples.mp4(index_first=False), "video"),
}
FOREIGN = [
    (b"", "image", "empty"),
    (b"<html>not found</html>", "image", "no PNG file"),
    (b"<html>not found</html>", "video", "no MP4 file"),
    (b"RIFF\x24\0\0\0WAVEfmt ", "image", "no PNG file"),
    (b"\x89PNG\r\n\x1a\n" + bytes(99), "image", "cut short|decoded"),
    (samples.png_of_size(9000, 9500), "image", "too large"),
    (samples.png_of_size(30_000, 30_000), "image", "DecompressionBomb"),
    (b"\0\0\0\x10ftypisom" + b"\0" * 500, "video", "cut short|decoded"),
]

OTHER_KINDS = [
    (samples.jpeg(), "image", "JPEG, not PNG"),
    (samples.png(), "video", "PNG, not MP4"),
    (samples.mp4(), "image", "MP4, not PNG"),
    (samples.picture("WEBP"), "image", "WEBP, not PNG"),
    (samples.picture("GIF"), "image", "GIF, not PNG"),
    (samples.picture("BMP"), "image", "BMP, not PNG"),
    (samples.picture("TIFF"), "image", "TIFF, not PNG"),
    (b"MM\0*" + b"\0" * 99, "image", "TIFF, not PNG"),
    (b"\0\0\0\x20ftypavif" + b"\0" * 99, "image", "AVIF, not PNG"),
    (b"\0\0\0\x18ftypheic" + b"\0" * 99, "image", "HEIC, not PNG"),
    (b"\0\0\0\x14ftypqt  " + b"\0" * 99, "video", "QuickTime, not MP4"),
    (b"RIFF\x24\0\0\0AVI LIST", "video", "AVI, not MP4"),
    (b"\x1aE\xdf\xa3" + b"\0" * 99, "video", "WebM, not MP4"),
]


def stored(folder: Path, body: bytes, step: str, kinds: tuple[str, ...] = ()) -> bytes:
    """What is to be stored of a picture; without kinds, by the small contract."""
    out = io.BytesIO()
    helpers.check(put(folder, body), step, kinds or KINDS[step][:1], out)
    return out.getvalue()


@pytest.mark.parametrize(("body", "step"), WHOLE.values(), ids=list(WHOLE))
def test_whole_file_passes(tmp_path: Path, body: bytes, step: str) -> None:
    assert bool(stored(tmp_path, body, step, KINDS[step])) is (step == "image")


def test_animated_webp_is_refused_for_good(tmp_path: Path) -> None:
    with pytest.raises(WrongKind, match="animated"):
        stored(tmp_path, samples.picture("WEBP", **ANIMATED), "image", KINDS["image"])


@pytest.mark.parametrize(("body", "step", "reason"), FOREIGN)
def test_invalid_results_are_refused(tmp_path: Path, body: bytes, step: str, reason: str) -> None:
    with pytest.raises(BadResult, match=reason):
        stored(tmp_path, body, step)


@pytest.mark.parametrize(("body", "step", "reason"), OTHER_KINDS)
def test_file_of_another_kind_is_refused_for_good(
    tmp_path: Path, body: bytes, step: str, reason: str
) -> None:
    with pytest.raises(WrongKind, match=reason) as refused:
        stored(tmp_path, body, step)
    assert not refused.value.retryable


@given(name=st.sampled_from(list(WHOLE)), data=st.data())
def test_truncated_file_is_refused_unless_its_content_is_complete(
    tmp_path_factory: pytest.TempPathFactory, name: str, data: st.DataObject
) -> None:
    """Behind the last pixel and the last frame there may be labels, and the checksum of nothing."""
    body, step = WHOLE[name]
    length = data.draw(st.integers(0, len(body) - 1))
    folder = tmp_path_factory.getbasetemp()
    try:
        found = stored(folder, body[:length], step, KINDS[step])
    except BadResult:
        return
    assert len(body) - length < 80
    assert found == stored(folder, body, step, KINDS[step])


@given(name=st.sampled_from(list(WHOLE)), data=st.data())
def test_damage_is_refused_or_harmless(
    tmp_path_factory: pytest.TempPathFactory, name: str, data: st.DataObject
) -> None:
    body, step = WHOLE[name]
    damaged = bytearray(body)
    for place in data.draw(st.lists(st.integers(0, len(body) - 1), min_size=1, max_size=5)):
        damaged[place] = data.draw(st.integers(0, 255))
    with contextlib.suppress(BadResult, WrongKind):
        stored(tmp_path_factory.getbasetemp(), bytes(damaged), step, KINDS[step])


def test_video_without_a_decodable_picture_is_refused(tmp_path: Path) -> None:
    """All the frames of its index are there."""
    body = bytearray(samples.mp4())
    data = body.index(b"mdat") + 4
    end = data - 8 + int.from_bytes(body[data - 8 : data - 4])
    body[data:end] = bytes(end - data)
    with pytest.raises(BadResult, match="can't be decoded"):
        stored(tmp_path, bytes(body), "video")


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


TELLING = {
    "png": png(),
    "png with transparency": png(mode="LA"),
    "png with a palette": png(mode="P", transparency=3, dpi=(72, 72)),
    "animated png": png(save_all=True, append_images=[Image.new("RGB", (64, 48), "red")]),
    "png with more behind its end": samples.png() + SECRET.encode(),
    "jpeg": samples.picture(
        "JPEG", exif=exif(), xmp=XMP, comment=SECRET.encode(), icc_profile=PROFILE
    ),
    "jpeg of four inks": samples.picture("JPEG", "CMYK", exif=exif(), comment=SECRET.encode()),
    "webp": samples.picture("WEBP", exif=exif(), xmp=XMP, icc_profile=PROFILE),
    "webp without loss": samples.picture("WEBP", "RGBA", lossless=True, xmp=XMP),
    "webp of an odd part": samples.picture("WEBP", "RGBA", xmp=XMP + b"x", exif=exif()),
}


@pytest.mark.parametrize("body", TELLING.values(), ids=list(TELLING))
def test_only_pixels_are_stored(tmp_path: Path, body: bytes) -> None:
    kept = stored(tmp_path, body, "image", KINDS["image"])
    assert SECRET.encode() not in kept
    before, after = Image.open(io.BytesIO(body)), Image.open(io.BytesIO(kept))
    assert (after.format, getattr(after, "n_frames", 1)) == ("PNG", 1)
    mode = "RGB" if before.mode == "CMYK" else before.mode
    assert (after.mode, after.size) == (mode, before.size)
    assert after.tobytes() == before.convert(mode).tobytes()
    assert after.info.get("icc_profile") == before.info.get("icc_profile")
    assert after.info.get("transparency") == before.info.get("transparency")
    assert not set(after.info) - {"icc_profile", "transparency"}


@pytest.mark.parametrize(
    ("kind", "mode", "found"),
    [
        *((kind, "RGB", SECRET.encode().ljust(200)) for kind in ("PNG", "JPEG", "WEBP")),
        ("PNG", "RGB", PROFILE + SECRET.encode()),
        # The colours of four inks are not those of three.
        ("JPEG", "CMYK", PROFILE),
    ],
)
def test_invalid_colour_profile_is_not_stored(
    tmp_path: Path, kind: str, mode: str, found: bytes
) -> None:
    body = samples.picture(kind, mode, icc_profile=found)
    kept = stored(tmp_path, body, "image", KINDS["image"])
    assert "icc_profile" not in Image.open(io.BytesIO(kept)).info
