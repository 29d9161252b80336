"""Real results in miniature: a PNG and an MP4 that were made, not typed."""

import io
import random
import struct
import zlib
from functools import cache
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import av
from PIL import Image


@cache
def png(width: int = 64, height: int = 48) -> bytes:
    """A picture of noise, so that its data is not squeezed into a few bytes."""
    out = io.BytesIO()
    _noise(_source(1), width, height).save(out, "PNG")
    return out.getvalue()


def picture(kind: str, mode: str = "RGB", **how: Any) -> bytes:
    """A picture of another kind, by Pillow's name of that, and how that is to be saved."""
    out = io.BytesIO()
    _noise(_source(3), 64, 48).convert(mode).save(out, kind, **how)
    return out.getvalue()


def jpeg() -> bytes:
    return picture("JPEG")


@cache
def mp4(frames: int = 12, *, index_first: bool = True, comment: str = "") -> bytes:
    """An H.264 video of noise; its index comes before the frames or after them."""
    source = _source(2)
    # Bitexact: without a word of what has made it, but for a box with nothing in it.
    options = {"fflags": "+bitexact", **({"movflags": "faststart"} if index_first else {})}
    with (
        NamedTemporaryFile(suffix=".mp4") as file,
        av.open(file.name, "w", options=options) as container,
    ):
        container.metadata.update({"comment": comment} if comment else {})
        stream = container.add_stream("libx264", rate=12)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(frames):
            picture = _noise(source, 64, 48)
            frame: av.VideoFrame = av.VideoFrame.from_image(picture)  # type: ignore[no-untyped-call]
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        container.close()
        made = Path(file.name).read_bytes()
        return made if comment else made.replace(b"udta", b"free")


def _source(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311 - noise, no secret


def _noise(source: random.Random, width: int, height: int) -> Image.Image:
    return Image.frombytes("RGB", (width, height), source.randbytes(width * height * 3))


def png_of_size(width: int, height: int) -> bytes:
    """The head of a picture that claims to be this large."""
    return png_of(width, height, b"")


def png_of(width: int, height: int, data: bytes) -> bytes:
    """A picture of this size, with whatever data it is given."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", data), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*each) for each in chunks)


def chunk(name: bytes, data: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(name + data))
    return struct.pack(">I", len(data)) + name + data + check
