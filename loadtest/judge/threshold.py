"""Conditions: a metric, a comparison and a limit."""

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

METRICS = {
    "success_rate": "succeeded / planned",
    "submitted": "jobs that the API accepted",
    "succeeded": "jobs that ended succeeded",
    "degraded": "jobs that ended degraded",
    "failed": "jobs that ended failed",
    "cancelled": "jobs that ended cancelled",
    "still_open": "jobs that had not ended when the stage was given up",
    "refused": "jobs that the API did not accept",
    "lost": "jobs that a book has lost",
    "duplicated": "jobs or generations that exist twice",
    "orphaned": "things in a book that belong to no job of the run",
    "charged_twice": "jobs that the vendors charged for more than once",
    "disagreements": "jobs whose books contradict each other",
    "callbacks_lost": "callbacks sent, never received, not made good by a poll",
    "faults_unaccounted": "injected faults and failed generations that nothing explains",
    "max_at_once": "most jobs at once, the highest of all books",
    "reached_at_once": "most jobs at once, the lowest of all books",
    "min": "shortest time from planned submission to end",
    "median": "median time from planned submission to end",
    "p95": "95th percentile of it (from 20 jobs)",
    "p99": "99th percentile of it (from 100 jobs)",
    "max": "longest of it",
    "makespan": "first planned submission to last end",
    "makespan_ratio": "makespan / sum of the service times",
    "efficiency": "lower bound of the makespan / makespan",
    "retries": "generations beyond the first of a stage",
    "handover_p50": "end of a job to the start of the next, while one waited",
    "handover_p95": "95th percentile of it",
    "handover_max": "longest of it",
    "vendor_idle_p50": "end of a job's last generation to the next job's first",
    "vendor_idle_p95": "95th percentile of it",
    "vendor_idle_max": "longest of it",
    "events_per_job_median": "history events per job, median",
    "events_per_job_max": "history events per job, most",
}
# At most 1, or 100%.
SHARES = {"success_rate", "efficiency"}
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
    "<": operator.lt,
    ">": operator.gt,
}
_UNITS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "%": 0.01}
_SHAPE = re.compile(
    r"\s*([a-z_0-9]+)\s*(<=|>=|==|<|>)\s*"
    r"(?:(\d{0,15}\.?\d{1,30})\s*(ms|s|m|min|h|%)?|(limit|expected|jobs))\s*"
)


@dataclass(frozen=True, slots=True)
class Threshold:
    """A condition; the limit is a number, or a name that each stage fills in."""

    metric: str
    op: str
    limit: float | str

    @property
    def text(self) -> str:
        """The condition as text, which is read again as the very same."""
        number = not isinstance(self.limit, str)
        limit = f"{Decimal(repr(self.limit)).normalize():f}" if number else self.limit
        return f"{self.metric}{self.op}{limit}"

    def holds(self, measured: float, limit: float) -> bool:
        return _COMPARE[self.op](measured, limit)

    def margin(self, measured: float, limit: float) -> float:
        """Return how far inside the limit it is, in the metric's unit; negative beyond it."""
        if self.op.startswith("<"):
            return limit - measured
        if self.op.startswith(">"):
            return measured - limit
        # Not a bare minus, which makes -0.0 of a limit that is met.
        return 0.0 - abs(measured - limit)


def parse(text: str) -> Threshold:
    """Read a threshold; raise ValueError with what is wrong and what would be right."""
    match = _SHAPE.fullmatch(text)
    if match is None:
        raise ValueError(
            f"'{text}' is no threshold; write for example p95<60s, success_rate>=99% or "
            "max_at_once<=limit (or expected, or jobs)"
        )
    metric, op, number, unit, symbol = match.groups()
    if metric not in METRICS:
        raise ValueError(f"'{text}': unknown metric '{metric}'; known are {', '.join(METRICS)}")
    if symbol:
        return Threshold(metric, op, symbol)
    limit = float(number) * _UNITS[unit or ""]
    if metric in SHARES and limit > 1:
        raise ValueError(f"'{text}': {metric} is at most 1, or 100%")
    return Threshold(metric, op, limit)


DEFAULTS = (
    "success_rate>=1",
    "lost==0",
    "duplicated==0",
    "orphaned==0",
    "charged_twice==0",
    "still_open==0",
    "disagreements==0",
    "max_at_once<=limit",
    "reached_at_once>=expected",
    "callbacks_lost==0",
    "faults_unaccounted==0",
)


def with_defaults(asked: tuple[Threshold, ...]) -> tuple[Threshold, ...]:
    """Return what is asked for, and the defaults of other metrics."""
    named = {threshold.metric for threshold in asked}
    kept = tuple(t for t in map(parse, DEFAULTS) if t.metric not in named)
    return kept + asked
