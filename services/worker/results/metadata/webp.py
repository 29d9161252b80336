"""WEBP: a RIFF of chunks, each with its name and length, and flags that tell which there are."""

from typing import BinaryIO

from services.worker.results.metadata.parts import counted, read_at
from services.worker.results.pieces import Copy, Piece, Put, copied
from services.worker.results.refusals import Refused, RefusedKind

KEPT = frozenset((b"VP8 ", b"VP8L", b"ALPH", b"ICCP"))
EXTENDED = b"VP8X"
ANIMATION = frozenset((b"ANIM", b"ANMF"))
# Of the first byte of VP8X: Exif, XMP, animation.
EXIF_OR_XMP, ANIMATED = 0x08 | 0x04, 0x02
RIFF, CHUNK_HEAD = 12, 8


def kept_of_webp(file: BinaryIO) -> list[Piece]:
    """The chunks that are kept, and a head that says so; RefusedKind for an animation."""
    pieces: list[Piece] = []
    end = 8 + int.from_bytes(read_at(file, 4, 4), "little")
    read_at(file, end - 1, 1)
    at = RIFF
    for _ in counted():
        if at >= end:
            break
        name, next_ = _chunk(file, at, end)
        if name == EXTENDED:
            _keep_extended(pieces, file, at, end=next_)
        elif name in ANIMATION:
            raise _animated()
        elif name in KEPT:
            copied(pieces, at, next_)
        at = next_
    return _with_head(pieces, end)


def _chunk(file: BinaryIO, at: int, end: int) -> tuple[bytes, int]:
    """The name of a chunk, and where the next one begins: on an even byte."""
    head = read_at(file, at, CHUNK_HEAD)
    length = int.from_bytes(head[4:], "little")
    next_ = at + CHUNK_HEAD + length + length % 2
    if next_ > end:
        raise Refused("The image is cut short: its last part is not whole.")
    return head[:4], next_


def _keep_extended(pieces: list[Piece], file: BinaryIO, at: int, *, end: int) -> None:
    flags = read_at(file, at + CHUNK_HEAD, 1)[0]
    if flags & ANIMATED:
        raise _animated()
    if flags & EXIF_OR_XMP:
        copied(pieces, at, at + CHUNK_HEAD)
        pieces.append(Put(bytes([flags & ~EXIF_OR_XMP])))
        copied(pieces, at + CHUNK_HEAD + 1, end)
    else:
        copied(pieces, at, end)


def _with_head(body: list[Piece], end: int) -> list[Piece]:
    """With the length that is right."""
    if body == [Copy(RIFF, end)]:
        return [Copy(0, end)]
    size = RIFF - 8 + sum(piece.size for piece in body)
    return [Copy(0, 4), Put(size.to_bytes(4, "little")), Copy(8, RIFF), *body]


def _animated() -> RefusedKind:
    return RefusedKind("The image is an animated WEBP, and not a still one.")
