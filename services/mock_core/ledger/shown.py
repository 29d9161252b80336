"""What a file shows, as a digest: its pixels, or the packets of its film, whatever else is in it.

Whoever stores a file may take out what tells of its making, and it is the same picture still.
"""

import io
from hashlib import sha256

from PIL import Image, UnidentifiedImageError


def shown(body: bytes) -> str | None:
    """The digest; None where the bytes are no picture and no film."""
    try:
        return _film(body) if body[4:8] == b"ftyp" else _picture(body)
    except (UnidentifiedImageError, IndexError, OSError, SyntaxError, ValueError):
        return None


def _picture(body: bytes) -> str:
    with Image.open(io.BytesIO(body)) as picture:
        name = f"{picture.mode} {picture.width}x{picture.height}\n"
        return sha256(name.encode() + picture.tobytes()).hexdigest()


def _film(body: bytes) -> str:
    # Not before: the image service makes no film, and would start the longer for it.
    import av

    digest = sha256()
    try:
        with av.open(io.BytesIO(body), "r") as film:
            for packet in film.demux(video=0):
                digest.update(bytes(packet))
    except av.FFmpegError as error:
        raise ValueError("no film") from error
    return digest.hexdigest()
