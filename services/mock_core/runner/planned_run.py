"""What the fault plan has decided about a generation's own run, at the moment of its acceptance."""

from collections.abc import Iterable
from dataclasses import dataclass

from services.mock_core.faults.plan import Hit


@dataclass(slots=True)
class PlannedRun:
    """Lengths in nominal seconds, points of the run in percent; None: it does not happen."""

    seconds: float
    fail_at: int | None = None
    fail_message: str = ""
    stick_at: int | None = None
    vanish_at: int | None = None
    never_starts: bool = False


def plan_run(seconds: float, hits: Iterable[Hit]) -> PlannedRun:
    planned = PlannedRun(seconds)
    for hit in hits:
        match hit.do:
            case "slow":
                planned.seconds = planned.seconds * hit.params.factor + hit.params.extra.at(
                    hit.quantile
                )
            case "fail":
                planned.fail_at, planned.fail_message = hit.params.at, hit.params.message
            case "stick":
                planned.stick_at = hit.params.at
            case "vanish":
                planned.vanish_at = hit.params.at
            case "never-start":
                planned.never_starts = True
    return planned
