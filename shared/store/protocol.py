"""The protocol of a store. Each write is whole or absent, and two writers never both believe that
they have replaced the same thing."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import NamedTuple, Protocol

from shared.errors import GenvideoError


class StoreAway(GenvideoError, OSError, status=503, title="The store is away", retryable=True):
    """The store gave no answer, or refused one; treated like a full disk."""

    def __init__(self, message: str) -> None:
        super().__init__(message, retry_after=1)
        self.strerror = message


def reason_of(error: OSError) -> str:
    """Return the reason, such as `No space left on device`, without a path."""
    return error.strerror or type(error).__name__


class Held(NamedTuple):
    """The value of a key; the tag changes with each write."""

    data: bytes
    tag: str


class Listed(NamedTuple):
    key: str
    size: int
    tag: str
    modified: datetime


class Store(Protocol):
    """Bytes under keys such as `state/jobs/job-1.json`. Blocking: call it from a thread.

    Each method raises OSError if it can't be done now, StoreAway if the store is remote. `local`:
    it is a folder of this machine.
    """

    local: bool

    def read(self, key: str) -> Held | None:
        """Return the whole value, or None if there is none."""

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """Write the value if there is none; return whether it was written."""

    def swap(self, key: str, data: bytes, tag: str) -> bool:
        """Replace the value with this tag; return whether it was still there."""

    def put(self, key: str, data: bytes) -> None:
        """Write it, replacing any value."""

    def keep(self, key: str, file: Path) -> None:
        """Move a local file there, replacing any value."""

    def remove(self, key: str) -> None:
        """Remove it, if it is there."""

    def remove_below(self, prefix: str) -> None:
        """Remove everything below a prefix that ends in a slash."""

    def range(self, key: str, start: int, end: int) -> bytes:
        """Return the bytes from `start`, before `end`; raise FileNotFoundError if there is
        nothing."""

    def list(self, prefix: str) -> Iterator[Listed]:
        """List everything below a prefix that ends in a slash, in any order."""
