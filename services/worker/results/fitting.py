"""Brings a stored picture within what a vendor takes; it runs in a process of its own alone."""

import io
from pathlib import Path
from typing import NamedTuple

from PIL import Image, UnidentifiedImageError

from services.worker.results.bounds import MAX_PIXELS
from services.worker.results.refusals import Refused
from shared.jobs.states import Step

# Of JPEG, one after another while the file is too large.
QUALITIES = (92, 85, 75)
# Whatever an image vendor may have delivered.
KINDS = ("PNG", "JPEG", "WEBP")


class RefusedPicture(Refused):
    """No vendor of these bounds will take it, nor another encoding of it."""

    code = "refused_for_good"


class Limits(NamedTuple):
    """As the worker's `Bounds`, which this process doesn't know."""

    kinds: tuple[str, ...]
    max_bytes: int
    min_side: int
    max_ratio: float


def fit(path: Path, limits: Limits) -> bytes | None:
    """None where the file will do as it is, else another one; RefusedPicture where neither does.

    Blocking. OSError where the file itself can't be read.
    """
    size = path.stat().st_size
    try:
        with Image.open(path, formats=KINDS) as picture:
            _check(picture, limits)
            if size <= limits.max_bytes and picture.format in limits.kinds:
                return None
            return _encoded(picture, limits.max_bytes)
    except MemoryError:
        raise RefusedPicture("The image needs more memory than it may to be re-encoded.") from None
    except (UnidentifiedImageError, Image.DecompressionBombError, SyntaxError, ValueError) as error:
        raise RefusedPicture(f"The image can't be read: {type(error).__name__}.") from None


def _check(picture: Image.Image, limits: Limits) -> None:
    shorter, longer = sorted(picture.size)
    what = f"The image has {picture.width}x{picture.height} pixels"
    if shorter < limits.min_side:
        raise RefusedPicture(f"{what}; the video vendor takes sides of {limits.min_side} or more.")
    if longer > limits.max_ratio * shorter:
        ratio = f"at most {limits.max_ratio:g} times as long as the other"
        raise RefusedPicture(f"{what}; the video vendor takes a side of {ratio}.")
    if picture.width * picture.height > MAX_PIXELS[Step.IMAGE]:
        raise RefusedPicture(f"{what}, which are too many to be re-encoded.")


def _encoded(picture: Image.Image, max_bytes: int) -> bytes:
    plain = picture if picture.mode == "RGB" else picture.convert("RGB")
    for quality in QUALITIES:
        file = io.BytesIO()
        plain.save(file, "JPEG", quality=quality)
        if file.tell() <= max_bytes:
            return file.getvalue()
    raise RefusedPicture(f"The image stays larger than {max_bytes} bytes, as JPEG as well.")
