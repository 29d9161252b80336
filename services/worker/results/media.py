"""Whether a file is what its vendor says: known by its content, decodable, of a size that can be.

It reads what strangers have made, so that it runs in a process of its own (`child.py`) alone.
"""

from pathlib import Path

import av
from av.container import InputContainer
from av.error import FFmpegError
from PIL import Image, UnidentifiedImageError

from shared.states import Step

# Beyond what a generous vendor delivers: an image of 8K has 33 million pixels, a video of 4K fewer
# than 9.5. A side of more than 16384 is nothing that a browser shows.
MAX_PIXELS = {Step.IMAGE: 40_000_000, Step.VIDEO: 4096 * 2304}
MAX_SIDE = 16_384
# Ten minutes, where 5 to 10 s are ordered, at 120 pictures a second; sound beside the picture.
MAX_SECONDS = 600
MAX_FRAMES = MAX_SECONDS * 120
MAX_STREAMS = 8
# H.264, H.265, AV1 and VP9, by FFmpeg's names of what decodes them. Sound is not decoded.
DECODERS = ("h264", "hevc", "av1", "libdav1d", "vp9", "libvpx-vp9")
# FFmpeg's own limits, for what it does while it opens a file; it follows no link out of it.
OPTIONS = {
    "codec_whitelist": ",".join(DECODERS),
    "max_pixels": str(MAX_PIXELS[Step.VIDEO]),
    "max_streams": str(MAX_STREAMS),
    "protocol_whitelist": "file",
}
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
# A video in fragments has two boxes for each, at the most one fragment a frame.
MAX_BOXES = 2 * MAX_FRAMES


class Refused(Exception):
    """The file is not what it should be, and another one may be; `code` is that of the failure."""

    code = "bad_result"


class RefusedKind(Refused):
    """It begins as a file of another kind does, so that another one would, too."""

    code = "wrong_kind"


def check(path: Path, step: Step) -> None:
    """Return where the file is a whole PNG (image) or a playable MP4 (video); else Refused.

    Blocking. OSError where the file itself can't be read.
    """
    if path.stat().st_size == 0:
        raise Refused("The result is empty.")
    with path.open("rb") as file:
        kind = _kind_of(file.read(16))
    if kind not in (None, KINDS[step]):
        raise RefusedKind(f"The {step} is a file of the kind {kind}, not {KINDS[step]}.")
    try:
        if step is Step.IMAGE:
            _check_png(path)
        else:
            _check_mp4(path)
    except MemoryError:
        raise Refused(f"The {step} needs more memory than a result may.") from None


def _kind_of(beginning: bytes) -> str | None:
    """The kind of a file by its first bytes; None for what is none that we know."""
    if beginning[:4] == b"RIFF":
        return {b"WEBP": "WEBP", b"AVI ": "AVI"}.get(beginning[8:12])
    if beginning[4:8] == b"ftyp":
        return {b"avif": "AVIF", b"heic": "HEIC", b"qt  ": "QuickTime"}.get(beginning[8:12], "MP4")
    return next((kind for start, kind in STARTS.items() if beginning.startswith(start)), None)


def _check_size(width: int, height: int, step: Step) -> None:
    if width * height > MAX_PIXELS[step] or max(width, height) > MAX_SIDE:
        raise Refused(f"The {step} is too large: {width}x{height}.")


def _check_png(path: Path) -> None:
    try:
        with Image.open(path, formats=("PNG",)) as picture:
            _check_size(picture.width, picture.height, Step.IMAGE)
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
        raise Refused(f"The image can't be decoded as PNG: {type(error).__name__}.") from None


def _check_mp4(path: Path) -> None:
    with path.open("rb") as file:
        if file.read(8)[4:] != b"ftyp":
            raise Refused("The video is not an MP4 file.")
    _check_boxes(path)
    try:
        with av.open(str(path), format="mp4", options=OPTIONS) as video:
            promised = _check_claims(video)
            next(video.decode(video=0))
            video.seek(0)
            present = _count(video)
    except (FFmpegError, IndexError, StopIteration, ValueError) as error:
        raise Refused(f"The video can't be decoded: {type(error).__name__}.") from None
    if present < promised:
        raise Refused(f"The video is cut short: {present} of {promised} frames.")


def _check_claims(video: InputContainer) -> int:
    """What the index says, before anything is decoded; the frames that it promises."""
    stream = video.streams.video[0]
    if stream.codec_context is None or stream.codec_context.name not in DECODERS:
        raise Refused("The video is of a kind that we don't decode.")
    _check_size(stream.width, stream.height, Step.VIDEO)
    if max(each.frames for each in video.streams) > MAX_FRAMES:
        raise Refused(f"The video claims more than {MAX_FRAMES} frames.")
    # One thread each: what it may take is bounded for all of them together.
    stream.codec_context.thread_count = 1
    stream.codec_context.options = {"max_pixels": OPTIONS["max_pixels"]}
    return stream.frames


def _count(video: InputContainer) -> int:
    """The frames that are there, by what is there and not by what the index says."""
    present, base = 0, video.streams.video[0].time_base
    longest = MAX_SECONDS / base if base else 0
    for packet in video.demux(video=0):
        present += packet.size > 0
        if present > MAX_FRAMES:
            raise Refused(f"The video has more than {MAX_FRAMES} frames.")
        if (packet.pts or 0) > longest:
            raise Refused(f"The video lasts longer than {MAX_SECONDS} s.")
    return present


def _check_boxes(path: Path) -> None:
    """An MP4 is a row of boxes that tell their length; the last one must end within the file."""
    size, at, boxes = path.stat().st_size, 0, 0
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
                raise Refused("The video is cut short: its last part is not whole.")
            at, boxes = at + length, boxes + 1
            if boxes > MAX_BOXES:
                raise Refused(f"The video has more than {MAX_BOXES} parts.")
