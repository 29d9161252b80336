"""Whether a file is what its vendor says: known by its content, and decodable."""

from pathlib import Path

import av
from av.error import FFmpegError
from PIL import Image, UnidentifiedImageError

from shared.errors import BadResult, WrongKind
from shared.states import Step

# A picture of more pixels than this is refused before it is decoded.
MAX_PIXELS = 80_000_000
# What the results have to be, and what files of other kinds begin with.
KINDS = {Step.IMAGE: "PNG", Step.VIDEO: "MP4"}
STARTS = {
    b"\x89PNG": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"GIF8": "GIF",
    b"BM": "BMP",
    b"II*\x00": "TIFF",
    b"MM\x00*": "TIFF",
    b"\x1aE\xdf\xa3": "WebM",
}
# The length of an MP4 box comes in 4 bytes, or in 8 more behind its name where they say 1.
BOX_HEADER, LONG_BOX_HEADER = 8, 16


def check(path: Path, step: Step) -> None:
    """Return where the file is a whole PNG (image) or a playable MP4 (video). Blocking.

    BadResult: it is not, and another one may be. WrongKind: it begins as a file of another kind
    does, so that another one would, too.
    """
    if path.stat().st_size == 0:
        raise BadResult("The result is empty.")
    with path.open("rb") as file:
        kind = _kind_of(file.read(16))
    if kind not in (None, KINDS[step]):
        raise WrongKind(f"The {step} is a file of the kind {kind}, not {KINDS[step]}.")
    if step is Step.IMAGE:
        _check_png(path)
    else:
        _check_mp4(path)


def _kind_of(beginning: bytes) -> str | None:
    """The kind of a file by its first bytes; None for what is none that we know."""
    if beginning[:4] == b"RIFF":
        return {b"WEBP": "WEBP", b"AVI ": "AVI"}.get(beginning[8:12])
    if beginning[4:8] == b"ftyp":
        return {b"avif": "AVIF", b"heic": "HEIC", b"qt  ": "QuickTime"}.get(beginning[8:12], "MP4")
    return next((kind for start, kind in STARTS.items() if beginning.startswith(start)), None)


def _check_png(path: Path) -> None:
    try:
        with Image.open(path, formats=("PNG",)) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                raise BadResult(f"The image is too large: {picture.width}x{picture.height}.")
            picture.load()
        # Decoding stops with the last pixel; this reads on to the end mark.
        with Image.open(path, formats=("PNG",)) as picture:
            picture.verify()
    except (
        Image.DecompressionBombError,
        UnidentifiedImageError,
        OSError,
        SyntaxError,
        ValueError,
    ) as error:
        raise BadResult(f"The image can't be decoded as PNG: {type(error).__name__}.") from None


def _check_mp4(path: Path) -> None:
    with path.open("rb") as file:
        if file.read(8)[4:] != b"ftyp":
            raise BadResult("The video is not an MP4 file.")
    _check_boxes(path)
    try:
        with av.open(str(path), format="mp4") as video:
            next(video.decode(video=0))
            promised = video.streams.video[0].frames
            video.seek(0)
            present = sum(1 for packet in video.demux(video=0) if packet.size)
    except (FFmpegError, IndexError, StopIteration, ValueError) as error:
        raise BadResult(f"The video can't be decoded: {type(error).__name__}.") from None
    if present < promised:
        raise BadResult(f"The video is cut short: {present} of {promised} frames.")


def _check_boxes(path: Path) -> None:
    """An MP4 is a row of boxes that tell their length; the last one must end within the file."""
    size, at = path.stat().st_size, 0
    with path.open("rb") as file:
        while at < size:
            file.seek(at)
            header = file.read(LONG_BOX_HEADER)
            length = int.from_bytes(header[:4])
            if length == 1:
                length = int.from_bytes(header[BOX_HEADER:])
            elif length == 0:
                return
            if length < BOX_HEADER or at + length > size:
                raise BadResult("The video is cut short: its last part is not whole.")
            at += length
