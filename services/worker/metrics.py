"""What the worker's jobs came to, and what the vendors say that it cost."""

import math

from prometheus_client import Counter

from shared.jobs.states import Step

STORED = Counter("genvideo_worker_stored", "Results that were checked and stored", ["step"])
UNITS = Counter("genvideo_worker_units", "What vendors say that they charged", ["step"])
# An alert sees no rise from a number that isn't there to one that is.
for _step in Step:
    STORED.labels(_step)
    UNITS.labels(_step)


def stored(step: Step, units: str | None) -> None:
    """Count a result; `units` as the vendor wrote them, of which only numbers can be added."""
    STORED.labels(step).inc()
    UNITS.labels(step).inc(_number(units))


def _number(units: str | None) -> float:
    try:
        number = float(units or 0)
    except ValueError:
        return 0.0
    return number if math.isfinite(number) and number > 0 else 0.0
