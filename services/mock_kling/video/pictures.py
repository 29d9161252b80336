"""What the vendor demands of a picture (documented): format, size, sides, ratio."""

import base64
import binascii
import io

from PIL import Image, UnidentifiedImageError

from services.mock_kling.video.source import MAX_BYTES

SHORTEST_SIDE = 300
WIDEST_RATIO = 2.5


class BadPicture(ValueError):
    """The message is the vendor's reason."""


def decode(text: str) -> bytes:
    """The bytes of bare base64; BadPicture for a `data:` prefix or anything else."""
    if text.startswith("data:"):
        raise BadPicture("image must be base64 without a data: prefix")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadPicture("image is neither a URL nor base64") from error


def check(picture: bytes) -> None:
    """BadPicture when the vendor would not take these bytes."""
    if len(picture) > MAX_BYTES:
        raise BadPicture("image is larger than 10 MB")
    try:
        width, height = Image.open(io.BytesIO(picture), formats=("PNG", "JPEG")).size
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise BadPicture("image is not a valid png or jpg") from error
    if min(width, height) < SHORTEST_SIDE:
        raise BadPicture(f"image sides must be {SHORTEST_SIDE} px or more")
    if max(width, height) > WIDEST_RATIO * min(width, height):
        raise BadPicture("image ratio must be between 1:2.5 and 2.5:1")
