"""Reading a file part by part, without taking more of it into memory than a part's head."""

from collections.abc import Iterator
from typing import BinaryIO

from services.worker.results.refusals import Refused

# Pictures are written in parts of 8 kB and more.
MAX_PARTS = 100_000


def read_at(file: BinaryIO, at: int, count: int) -> bytes:
    """So many bytes, or Refused where the file ends before."""
    file.seek(at)
    data = file.read(count)
    if len(data) < count:
        raise Refused("The image is cut short.")
    return data


def counted() -> Iterator[int]:
    """A number for each part; Refused when there are more than a file of ours has."""
    yield from range(MAX_PARTS)
    raise Refused(f"The image has more than {MAX_PARTS} parts.")
