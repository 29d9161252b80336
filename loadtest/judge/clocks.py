"""How far each vendor's clock is from the runner's, and how exactly that is known."""

from collections.abc import Iterable
from dataclasses import dataclass

from loadtest.books.facts import Reading
from loadtest.books.model import STEPS, Books

SLACK = 0.25
"""Seconds that the clocks of a stack may differ by, where nothing is measured."""


@dataclass(frozen=True, slots=True)
class Offset:
    """A vendor's clock minus the runner's is between these; both are 0 where nobody knows."""

    low: float = 0.0
    high: float = 0.0

    @property
    def unsure(self) -> float:
        """Seconds by which an instant may be off to either side."""
        return (self.high - self.low) / 2

    def latest(self, at: float) -> float:
        """An instant of the vendor's by the runner's clock, at the latest."""
        return at - self.low

    def earliest(self, at: float) -> float:
        return at - self.high


Offsets = dict[str, Offset]


def offsets(books: Books) -> Offsets:
    """What the readings at both ends of a run say together, for each vendor."""
    return {step: _both(books, step) for step in STEPS}


def at_moment(books: Books, step: str, moment: str) -> Offset | None:
    """What the readings of one moment say; None without any."""
    own = [r for r in books.clocks if (r.service, r.moment) == (step, moment)]
    return _narrowed(own)


def contradict(books: Books, step: str, moment: str) -> bool:
    """Whether no single offset fits all readings of a moment."""
    known = _known(r for r in books.clocks if (r.service, r.moment) == (step, moment))
    return bool(known) and max(low for low, _ in known) > min(high for _, high in known)


def _both(books: Books, step: str) -> Offset:
    found = [o for moment in ("begin", "end") if (o := at_moment(books, step, moment))]
    if not found:
        return Offset()
    low, high = max(o.low for o in found), min(o.high for o in found)
    if low <= high:
        return Offset(low, high)
    # It moved in between: any value on its way may have been the one.
    return Offset(min(o.low for o in found), max(o.high for o in found))


def _narrowed(readings: Iterable[Reading]) -> Offset | None:
    """All readings of a moment hold at once; the quickest says most."""
    known = _known(readings)
    if not known:
        return None
    low, high = max(low for low, _ in known), min(high for _, high in known)
    return Offset(min(low, high), max(low, high))


def _known(readings: Iterable[Reading]) -> list[tuple[float, float]]:
    return [(r.theirs - r.answered, r.theirs - r.sent) for r in readings if r.theirs is not None]
