"""How far away Temporal is: how soon a silence is noticed, and so what is called for meanwhile.

On Temporal Cloud a heartbeat is billed, and so is a query.
"""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

# A beat comes after this share of the time-out, so that one may be late, or lost.
_BEAT_SHARE = 0.48
# What an activity without a time-out of its own would be heard by.
_NO_TIMEOUT = timedelta(seconds=60)


class Pace(StrEnum):
    """`fast`: a server near by, whose calls cost nothing. `cloud`: one that is far, and paid."""

    FAST = "fast"
    CLOUD = "cloud"

    @property
    def times(self) -> "Times":
        """What follows from it."""
        return _TIMES[self]


@dataclass(frozen=True, kw_only=True)
class Times:
    """Time-outs of heartbeats, and pauses between two looks.

    `work`: of what submits, makes, fetches or drains; its worker's death is noticed by it alone.
    `wait`: of the wait for a video, which a callback ends as well. `watch`: of the semaphore's
    watch of a run, which a new process of the semaphore begins anew at once. `sticky`: how long the
    worker that knows a workflow is waited for before another one gets it, and has to replay it.
    `care`: between two looks for failing code, of holders and semaphores. `look`: between two looks
    for open jobs that the semaphore does not know; each comes with one of those. `poll`: of the
    API, for jobs that began or ended.
    """

    work: timedelta
    wait: timedelta
    watch: timedelta
    sticky: timedelta
    care: timedelta
    look: timedelta
    poll: timedelta


def _seconds(**times: float) -> Times:
    return Times(**{name: timedelta(seconds=each) for name, each in times.items()})


_TIMES = {
    # A take-over can't be faster than `work` and `sticky`, and a busy machine needs slack.
    Pace.FAST: _seconds(work=1.4, wait=30, watch=60, sticky=0.4, care=30, look=120, poll=1),
    Pace.CLOUD: _seconds(work=30, wait=300, watch=180, sticky=5, care=120, look=360, poll=15),
}


def between_beats(timeout: timedelta | None) -> float:
    """Seconds from one heartbeat to the next, for an activity with such a time-out."""
    return (timeout or _NO_TIMEOUT).total_seconds() * _BEAT_SHARE
