"""Small files that cost much memory or time when they are opened."""

import functools
import gzip
import io
import struct
import zlib
from pathlib import Path
from typing import Any

import av
from PIL import Image

from tests.services.worker import samples

MEBIBYTE = 1024 * 1024
# An H.264 video of one grey frame of 16000x16000.
WIDE = Path(__file__).parent / "results" / "wide.mp4.gz"
# The boxes of an MP4 that hold those of its index.
NESTED = (b"moov", b"trak", b"mdia", b"minf", b"stbl")


@functools.cache
def gzip_bomb(gibibytes: int = 4) -> bytes:
    """So many bytes of nothing, encoded twice (`gzip, gzip`), in some thousand."""
    squeezed = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    # It ends at the border of a byte and refers to nothing before it, so that it can be repeated.
    block = squeezed.compress(bytes(MEBIBYTE)) + squeezed.flush(zlib.Z_FULL_FLUSH)
    head = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
    return gzip.compress(head + block * (1024 * gibibytes) + b"\x03\0" + bytes(8), mtime=0)


@functools.cache
def wide_mp4() -> bytes:
    """A whole video whose frame has 256 million pixels."""
    return gzip.decompress(WIDE.read_bytes())


@functools.cache
def white_png(width: int, height: int) -> bytes:
    """A whole image in a thousandth of its pixels' bytes."""
    row, squeezed = b"\0" + b"\xff" * (width * 3), zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    # One row ends at the border of a byte and refers to none before it, so that it is repeated.
    block = squeezed.compress(row) + squeezed.flush(zlib.Z_FULL_FLUSH)
    check = functools.reduce(lambda sum_, _: zlib.adler32(row, sum_), range(height), 1)
    data = b"\x78\x9c" + block * height + b"\x03\0" + struct.pack(">I", check)
    return samples.png_of(width, height, data)


@functools.cache
def large(kind: str, *, size: tuple[int, int] = (7680, 5200), **how: Any) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, (9, 99, 199)).save(out, kind, **how)
    return out.getvalue()


def jpeg_of(width: int, height: int) -> bytes:
    """A whole image whose head claims another size."""
    whole = samples.jpeg()
    at = whole.index(b"\xff\xc0") + 5
    return whole[:at] + struct.pack(">HH", height, width) + whole[at + 4 :]


def webp_of(width: int, height: int) -> bytes:
    """The same, without loss: 14 bits each, less one, behind the mark of its data."""
    whole = samples.picture("WEBP", lossless=True)
    at = whole.index(b"VP8L") + 9
    size = (width - 1) | (height - 1) << 14
    return whole[:at] + struct.pack("<I", size) + whole[at + 4 :]


@functools.cache
def png_of_text() -> bytes:
    """An image with a comment of 64 MiB, squeezed."""
    whole, text = samples.png(), b"Comment\0\0" + zlib.compress(bytes(64 * MEBIBYTE))
    # Behind the signature and the head, which is 25 bytes long.
    return whole[:33] + samples.chunk(b"zTXt", text) + whole[33:]


@functools.cache
def mp4_of_claims(count: int = 60_000_000) -> bytes:
    """A video whose index says that it has so many frames, of a byte each."""
    whole = samples.mp4(1)
    one, entry = struct.pack(">I", 1), struct.pack(">II", 0, 1)
    claims = {
        b"stsz": struct.pack(">III", 0, 1, count),
        b"stts": entry + struct.pack(">II", count, 1),
        b"stsc": entry + struct.pack(">III", 1, count, 1),
        b"stco": entry + one,
    }
    return _with_boxes(whole, claims)


def long_mp4() -> bytes:
    """A video of few frames, an hour and more each."""
    times = struct.pack(">IIII", 0, 1, 12, 12 * 1024 * 3600)
    return _with_boxes(samples.mp4(), {b"stts": times})


@functools.cache
def mp4_of(encoder: str, width: int = 64, height: int = 48) -> bytes:
    """A grey frame in the MP4 of another encoder, or of another size."""
    pixels = "yuvj420p" if encoder == "mjpeg" else "yuv420p"
    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as container:
        stream = container.add_stream(encoder, rate=1, options={"threads": "1"})
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = width, height, pixels
        frame = av.VideoFrame(width, height, pixels)
        for plane in frame.planes:
            plane.update(b"\x80" * plane.buffer_size)
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return out.getvalue()


def _with_boxes(data: bytes, bodies: dict[bytes, bytes]) -> bytes:
    """The same boxes, some of them with another body; what they are in grows along."""
    made, at = b"", 0
    while at < len(data):
        length = int.from_bytes(data[at : at + 4])
        name, body = data[at + 4 : at + 8], data[at + 8 : at + length]
        if name in NESTED:
            body = _with_boxes(body, bodies)
        body = bodies.get(name, body)
        made += struct.pack(">I", 8 + len(body)) + name + body
        at += length
    return made
