"""Whether a file is what its vendor says: known by its content, and decodable."""

from pathlib import Path

import av
from av.error import FFmpegError
from PIL import Image, UnidentifiedImageError

from shared.errors import BadResult
from shared.states import Step

# A picture of more pixels than this is refused before it is decoded.
MAX_PIXELS = 100_000_000


def check(path: Path, step: Step) -> None:
    """BadResult unless the file is a whole PNG (image) or a playable MP4 (video). Blocking."""
    if path.stat().st_size == 0:
        raise BadResult("The result is empty.")
    if step is Step.IMAGE:
        _check_png(path)
    else:
        _check_mp4(path)


def _check_png(path: Path) -> None:
    try:
        with Image.open(path, formats=("PNG",)) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                raise BadResult(f"The image is too large: {picture.width}x{picture.height}.")
            picture.load()
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise BadResult(f"The image can't be decoded as PNG: {type(error).__name__}.") from None


def _check_mp4(path: Path) -> None:
    with path.open("rb") as file:
        if file.read(8)[4:] != b"ftyp":
            raise BadResult("The video is not an MP4 file.")
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
