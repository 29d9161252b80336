"""Seeded chance: the same parts give the same number, in any order and at any parallelism."""

import hashlib

_SEPARATOR = b"\x1f"
_SPAN = float(1 << 64)


def draw(seed: int, *parts: str | int) -> float:
    """A number in [0, 1) that depends on the seed and the parts, and on nothing else."""
    text = _SEPARATOR.join(str(part).encode("utf-8", "surrogatepass") for part in (seed, *parts))
    digest = hashlib.blake2b(text, digest_size=8).digest()
    return int.from_bytes(digest, "big") / _SPAN


def fingerprint(*parts: str) -> str:
    """Twelve hex digits that stand for a text in keys and names."""
    text = _SEPARATOR.join(part.encode("utf-8", "surrogatepass") for part in parts)
    return hashlib.blake2b(text, digest_size=6).hexdigest()
