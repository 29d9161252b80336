"""What the fault plan has decided about a generation's own run, at the moment of its acceptance."""

from collections.abc import Iterable
from dataclasses import dataclass

from services.mock_core.faults.plan import Hit


@dataclass(slots=True)
class Fate:
    """Lengths in nominal seconds, points of the run in percent; None: it does not happen."""

    seconds: float
    fail_at: int | None = None
    fail_message: str = ""
    stick_at: int | None = None
    vanish_at: int | None = None
    never_starts: bool = False


def decide_fate(seconds: float, hits: Iterable[Hit]) -> Fate:
    fate = Fate(seconds)
    for hit in hits:
        match hit.do:
            case "slow":
                fate.seconds = fate.seconds * hit.params.factor + hit.params.extra.at(hit.chance)
            case "fail":
                fate.fail_at, fate.fail_message = hit.params.at, hit.params.message
            case "stick":
                fate.stick_at = hit.params.at
            case "vanish":
                fate.vanish_at = hit.params.at
            case "never-start":
                fate.never_starts = True
    return fate
