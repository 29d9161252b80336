"""MP4: boxes within boxes, which are found by their offsets; so nothing may move.

A box of metadata becomes a `free` one of the same length, with nothing in it.
"""

from collections.abc import Iterator
from os import SEEK_END
from typing import BinaryIO, NamedTuple

from services.worker.results.bounds import MAX_FRAMES
from services.worker.results.pieces import Piece, Put, Zeros, copied
from services.worker.results.refusals import Refused

# The film, and its tracks in it.
HOLDERS = (b"moov", b"trak")
METADATA = frozenset((b"udta", b"meta"))
# XMP has no name of its own.
XMP = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
# The length of a box comes in 4 bytes, or in 8 more behind its name where they say 1.
HEAD, LONG_HEAD = 8, 16
# A video in fragments has two boxes for each, at the most one fragment a frame.
MAX_BOXES = 2 * MAX_FRAMES


class Box(NamedTuple):
    """Where a box begins, where its content does, and where it ends."""

    name: bytes
    start: int
    content: int
    end: int


def boxes(file: BinaryIO, at: int, end: int) -> Iterator[Box]:
    """Those of a range, one behind the other; Refused where one doesn't end within it."""
    for _ in range(MAX_BOXES):
        if at >= end:
            return
        file.seek(at)
        head = file.read(LONG_HEAD)
        length, content = int.from_bytes(head[:4]), HEAD
        if length == 1:
            length, content = int.from_bytes(head[HEAD:]), LONG_HEAD
        elif length == 0:
            length = end - at
        if length < content or at + length > end:
            raise Refused("The video is cut short: a part of it is not whole.")
        yield Box(head[4:8], at, at + content, at + length)
        at += length
    raise Refused(f"The video has more than {MAX_BOXES} parts.")


def kept_of_mp4(file: BinaryIO) -> list[Piece]:
    """All of it but the metadata of the file, of the film and of its tracks."""
    pieces: list[Piece] = []
    at, size = 0, file.seek(0, SEEK_END)
    for box in _metadata(file, 0, size, holders=HOLDERS):
        copied(pieces, at, box.start + 4)
        pieces.append(Put(b"free"))
        copied(pieces, box.start + HEAD, box.content)
        pieces.append(Zeros(box.end - box.content))
        at = box.end
    copied(pieces, at, size)
    return pieces


def _metadata(file: BinaryIO, at: int, end: int, *, holders: tuple[bytes, ...]) -> Iterator[Box]:
    for box in boxes(file, at, end):
        if box.name in holders[:1]:
            yield from _metadata(file, box.content, box.end, holders=holders[1:])
        elif box.name in METADATA or (box.name == b"uuid" and _is_xmp(file, box)):
            yield box


def _is_xmp(file: BinaryIO, box: Box) -> bool:
    file.seek(box.content)
    return file.read(len(XMP)) == XMP
