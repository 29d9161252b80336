"""PNG: a row of chunks, each with its length, its name and a checksum."""

from typing import BinaryIO

from services.worker.results.metadata.parts import counted, read_at
from services.worker.results.pieces import Piece, copied

# The picture, its colours and its measure. What else there may be is text, times, Exif, provenance,
# or the further frames of an animation, of which the first is the picture itself.
KEPT = frozenset(
    (
        *(b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"),
        *(b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"sBIT", b"bKGD", b"pHYs"),
    )
)
SIGNATURE, AROUND = 8, 12


def kept_of_png(file: BinaryIO) -> list[Piece]:
    """The chunks that are kept, up to the end mark."""
    pieces: list[Piece] = []
    copied(pieces, 0, SIGNATURE)
    at = SIGNATURE
    for _ in counted():
        head = read_at(file, at, 8)
        end = at + AROUND + int.from_bytes(head[:4])
        read_at(file, end - 1, 1)
        name = head[4:]
        if name in KEPT:
            copied(pieces, at, end)
        if name == b"IEND":
            break
        at = end
    return pieces
