"""Seeded chance: the same parts give the same number, in any order and at any parallelism."""

import hashlib

_SPAN = float(1 << 64)


class Source:
    """Draws that begin with the same parts; those are hashed once."""

    def __init__(self, *parts: str | int) -> None:
        self._begun = hashlib.blake2b(_joined(*parts, ""), digest_size=8)

    def draw(self, *parts: str | int) -> float:
        """A number in [0, 1) that depends on all the parts, and on nothing else."""
        hasher = self._begun.copy()
        hasher.update(_joined(*parts))
        return int.from_bytes(hasher.digest(), "big") / _SPAN


def draw(seed: int, *parts: str | int) -> float:
    """A number in [0, 1) that depends on the seed and the parts, and on nothing else."""
    return Source(seed).draw(*parts)


def _joined(*parts: str | int) -> bytes:
    return "\x1f".join([str(part) for part in parts]).encode("utf-8", "surrogatepass")


def fingerprint(*parts: str) -> str:
    """Twelve hex digits that stand for a text in keys and names."""
    return hashlib.blake2b(_joined(*parts), digest_size=6).hexdigest()
