"""What the fault plan has decided about a generation's own run, at the moment of its acceptance."""

from collections.abc import Iterable
from dataclasses import dataclass

from services.mock_core.faults.kinds import start
from services.mock_core.faults.plan import Hit

_OUT_OF_MEMORY = (
    "Allocation on device \nThis error means you ran out of memory on your GPU.\n\nTIPS: If the "
    "workflow worked before you might have accidentally set the batch_size to a large number."
)


@dataclass(slots=True)
class PlannedRun:
    """Lengths in nominal seconds, points of the run in percent; None: it does not happen."""

    seconds: float
    fail_at: int | None = None
    fail_message: str = ""
    # The type of the exception, for wires that tell it.
    fail_kind: str = "RuntimeError"
    stick_at: int | None = None
    vanish_at: int | None = None
    never_starts: bool = False


def plan_run(seconds: float, hits: Iterable[Hit]) -> PlannedRun:
    """The run of a generation that takes so many nominal seconds when nothing strikes it."""
    planned = PlannedRun(seconds)
    for hit in hits:
        match hit.fault:
            case start.Slow(factor=factor, extra=extra):
                planned.seconds = planned.seconds * factor + extra.at(hit.quantile)
            case start.Fail(at=at, message=message):
                planned.fail_at, planned.fail_message = at, message
            case start.OutOfMemory(at=at):
                planned.fail_at, planned.fail_message = at, _OUT_OF_MEMORY
                planned.fail_kind = "torch.OutOfMemoryError"
            case start.Stick(at=at):
                planned.stick_at = at
            case start.Vanish(at=at):
                planned.vanish_at = at
            case start.NeverStart():
                planned.never_starts = True
    return planned
