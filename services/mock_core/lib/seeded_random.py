"""Seeded random numbers: the same parts give the same one, in any order, at any parallelism."""

import hashlib

_SPAN = float(1 << 64)


class SeededRandom:
    """Numbers whose first parts are the same; those are hashed once."""

    def __init__(self, *parts: str | int) -> None:
        self._begun = hashlib.blake2b(_joined(*parts, ""), digest_size=8)

    def number(self, *parts: str | int) -> float:
        """A number in [0, 1) that depends on all the parts, and on nothing else."""
        hasher = self._begun.copy()
        hasher.update(_joined(*parts))
        return int.from_bytes(hasher.digest(), "big") / _SPAN


def random_number(seed: int, *parts: str | int) -> float:
    """A number in [0, 1) that depends on the seed and the parts, and on nothing else."""
    return SeededRandom(seed).number(*parts)


def _joined(*parts: str | int) -> bytes:
    return "\x1f".join([str(part) for part in parts]).encode("utf-8", "surrogatepass")


def fingerprint(*parts: str) -> str:
    """Twelve hex digits that stand for a text in keys and names."""
    return hashlib.blake2b(_joined(*parts), digest_size=6).hexdigest()
