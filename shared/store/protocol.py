"""What is asked of a store; each write is whole or not there, and two never both believe that they
have replaced the same thing."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import NamedTuple, Protocol

from shared.errors import GenvideoError


class StoreAway(
    GenvideoError, OSError, code="store_away", status=503, title="The store is away", retryable=True
):
    """The store gave no answer, or refused one: it is like a disk that is full."""

    def __init__(self, message: str) -> None:
        super().__init__(message, retry_after=1)
        self.strerror = message


class Held(NamedTuple):
    """What lies under a key; the tag is another one after each change."""

    data: bytes
    tag: str


class Listed(NamedTuple):
    """What a listing says of a key."""

    key: str
    size: int
    tag: str
    modified: datetime


class Store(Protocol):
    """Bytes under keys such as `state/jobs/job-1.json`. Blocking: call it from a thread.

    Each raises an OSError where that can't be done now, StoreAway where the store is elsewhere.
    `local`: it is a folder of this machine.
    """

    local: bool

    def path(self, key: str) -> Path | None:
        """The file itself, whether or not it is there; None where the store is elsewhere."""

    def read(self, key: str) -> Held | None:
        """All of it, or None where there is nothing."""

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """Put it where there is nothing yet; says whether that was so."""

    def swap(self, key: str, data: bytes, tag: str) -> bool:
        """Put it in the place of what has this tag; says whether that was still there."""

    def put(self, key: str, data: bytes) -> None:
        """Put it there, in the place of whatever is."""

    def keep(self, key: str, file: Path) -> None:
        """Put a file of ours there, in the place of whatever is; the file may be gone then."""

    def remove(self, key: str) -> None:
        """Have nothing there."""

    def remove_below(self, prefix: str) -> None:
        """Have nothing below a prefix that ends in a slash."""

    def range(self, key: str, start: int, end: int) -> bytes:
        """The bytes from `start` on, before `end`; FileNotFoundError where there is nothing."""

    def list(self, prefix: str) -> Iterator[Listed]:
        """All below a prefix that ends in a slash, in any order."""

    def presigned(self, key: str, seconds: float) -> str | None:
        """An address that gives it to anybody for so long; None where the store has none."""
