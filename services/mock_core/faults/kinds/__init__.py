"""Every fault there is: a class each, by the point of a generation's life at which it strikes."""

from services.mock_core.faults.kinds import callback, poll, progress, result, start, submit
from services.mock_core.faults.kinds.fault import KINDS, Fault, Where, names_at

__all__ = [
    "KINDS",
    "Fault",
    "Where",
    "callback",
    "names_at",
    "poll",
    "progress",
    "result",
    "start",
    "submit",
]
