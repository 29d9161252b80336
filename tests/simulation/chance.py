"""Draws that depend on the seed and on what is drawn for alone, not on what was drawn before."""

from collections.abc import Sequence
from typing import TypeVar
from zlib import crc32

T = TypeVar("T")
_MASK = (1 << 64) - 1


class Chance:
    """The n-th draw for a name is the same in every history of the seed, whatever else happens.

    So a history stays nearly what it was when a part of it is left out.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        # By name: what its draws begin with, and how many there were.
        self._drawn: dict[str, tuple[int, int]] = {}

    def share(self, name: str) -> float:
        """From 0 up to 1."""
        begun, drawn = self._drawn.get(name) or (self._begun(name), 0)
        self._drawn[name] = begun, drawn + 1
        mixed = (begun + drawn * 0x94D049BB133111EB) & _MASK
        mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
        return ((mixed ^ (mixed >> 31)) >> 11) / (1 << 53)

    def _begun(self, name: str) -> int:
        named = crc32(name.encode()) * 0xBF58476D1CE4E5B9
        return (self._seed * 0x9E3779B97F4A7C15 + named) & _MASK

    def between(self, name: str, low: float, high: float) -> float:
        """A number from the range."""
        return low + (high - low) * self.share(name)

    def often(self, name: str, share: float) -> bool:
        """True in that share of all draws."""
        return self.share(name) < share

    def pick(self, name: str, items: Sequence[T]) -> T:
        """One of them."""
        return items[int(self.share(name) * len(items))]

    def number(self, name: str, low: int, high: int) -> int:
        """A whole number from the range, both ends included."""
        return low + int(self.share(name) * (high - low + 1))
