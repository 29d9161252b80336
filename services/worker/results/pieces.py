"""A file told in pieces of another one: ranges of that, and a few bytes of our own.

Whoever reads a stranger's file writes none: it tells in these what is to be written.
"""

from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

# More are no file that anybody has made, and would not fit into a line of the child's.
MAX_PIECES = 1000
CHUNK = 256 * 1024


class Copy(NamedTuple):
    """The bytes from `start` up to `end` of the other file."""

    start: int
    end: int

    @property
    def size(self) -> int:
        return self.end - self.start


class Put(NamedTuple):
    """These bytes."""

    data: bytes

    @property
    def size(self) -> int:
        return len(self.data)


Piece = Copy | Put


def copied(pieces: list[Piece], start: int, end: int) -> None:
    """Add a range; to the last piece where it goes on there."""
    if pieces and isinstance(last := pieces[-1], Copy) and last.end == start:
        pieces[-1] = Copy(last.start, end)
    elif end > start:
        pieces.append(Copy(start, end))


def as_json(pieces: list[Piece]) -> list[list[Any]]:
    """As the child says them."""
    return [_told(piece) for piece in pieces]


def from_json(told: Any, size: int) -> list[Piece]:
    """What a child has said of a file of that size; ValueError for what can't be.

    It may be a stranger by now, so that no more is written than was read.
    """
    try:
        pieces = [_heard(*each) for each in told]
    except (TypeError, ValueError):
        raise ValueError("no pieces") from None
    whole = all(0 <= each.start <= each.end <= size for each in pieces if isinstance(each, Copy))
    if not whole or any(each.size < 0 for each in pieces) or sum(p.size for p in pieces) > size:
        raise ValueError("pieces of more than there is")
    return pieces


def chunks(pieces: list[Piece], file: BinaryIO) -> Iterator[bytes]:
    """The bytes that the pieces make of a file; blocking."""
    for piece in pieces:
        match piece:
            case Put(data):
                yield data
            case Copy(start, end):
                file.seek(start)
                for at in range(start, end, CHUNK):
                    yield file.read(min(CHUNK, end - at))


def _told(piece: Piece) -> list[Any]:
    match piece:
        case Put(data):
            return ["put", data.hex()]
        case Copy(start, end):
            return ["copy", start, end]


def _heard(what: str, *values: Any) -> Piece:
    match what, *values:
        case "put", str(text):
            return Put(bytes.fromhex(text))
        case "copy", int(start), int(end):
            return Copy(start, end)
    raise ValueError("no piece")
