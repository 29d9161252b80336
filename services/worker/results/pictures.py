"""Whether an image can be decoded, whole, within its bounds."""

from pathlib import Path

import av
from av.error import FFmpegError
from PIL import Image, UnidentifiedImageError

from services.worker.results.bounds import MAX_PIXELS, MAX_SIDE
from services.worker.results.refusals import Refused
from shared.jobs.assets import Kind
from shared.jobs.states import Step

# Pillow's own way to read a WEBP takes five times its pixels; FFmpeg's takes one and a half.
WEBP_OPTIONS = {"codec_whitelist": "webp", "max_pixels": str(MAX_PIXELS[Step.IMAGE])}


def check_size(width: int, height: int, step: Step) -> None:
    """Refused for one that is too large."""
    if width * height > MAX_PIXELS[step] or max(width, height) > MAX_SIDE:
        raise Refused(f"The {step} is too large: {width}x{height}.")


def check_picture(path: Path, kind: Kind) -> None:
    """Return where it can be decoded to its last pixel; else Refused."""
    try:
        if kind is Kind.WEBP:
            _decode_webp(path)
        else:
            _decode(path, kind)
    except (
        Image.DecompressionBombError,
        UnidentifiedImageError,
        FFmpegError,
        OSError,
        StopIteration,
        IndexError,
        SyntaxError,
        ValueError,
    ) as error:
        raise Refused(f"The image can't be decoded as {kind}: {type(error).__name__}.") from None


def _decode(path: Path, kind: Kind) -> None:
    with Image.open(path, formats=(kind,)) as picture:
        check_size(picture.width, picture.height, Step.IMAGE)
        picture.load()
    # Decoding a PNG stops with the last pixel; this reads on to the end mark.
    with Image.open(path, formats=(kind,)) as picture:
        picture.verify()


def _decode_webp(path: Path) -> None:
    with av.open(str(path), format="webp_pipe", options=WEBP_OPTIONS) as picture:
        stream = picture.streams.video[0]
        check_size(stream.width, stream.height, Step.IMAGE)
        stream.codec_context.thread_count = 1
        stream.codec_context.options = {"max_pixels": WEBP_OPTIONS["max_pixels"]}
        next(picture.decode(video=0))
