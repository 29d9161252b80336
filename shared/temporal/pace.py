"""The distance of Temporal: how soon a silence is noticed, and how often the server is called.

Temporal Cloud bills heartbeats and queries.
"""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

# Heartbeat after this share of the time-out, so that one beat may be late or lost.
_BEAT_SHARE = 0.48
# The time-out of an activity that has none.
_NO_TIMEOUT = timedelta(seconds=60)


class Pace(StrEnum):
    """`fast`: a near server whose calls are free. `cloud`: a remote one that bills calls."""

    FAST = "fast"
    CLOUD = "cloud"

    @property
    def times(self) -> "Times":
        return _TIMES[self]


@dataclass(frozen=True, kw_only=True)
class Times:
    """Heartbeat time-outs, and intervals between two checks.

    `work`: for a submit, an image, a fetch or a drain; only this one notices a dead worker. `wait`:
    for a video, which a callback ends as well. `watch`: for the semaphore's watch of a run, which a
    new process of the semaphore restarts at once. `sticky`: how long the server waits for the
    worker that has a workflow in its cache. `care`: between two rounds of the semaphore's watchdog.
    `poll`: of the API, for jobs that began or ended.
    """

    work: timedelta
    wait: timedelta
    watch: timedelta
    sticky: timedelta
    care: timedelta
    poll: timedelta


def _seconds(**times: float) -> Times:
    return Times(**{name: timedelta(seconds=each) for name, each in times.items()})


_TIMES = {
    # A take-over can't be faster than `work` and `sticky`, and a busy machine needs slack.
    Pace.FAST: _seconds(work=1.4, wait=30, watch=60, sticky=0.4, care=30, poll=1),
    Pace.CLOUD: _seconds(work=30, wait=300, watch=180, sticky=5, care=120, poll=15),
}


def between_beats(timeout: timedelta | None) -> float:
    """Return the seconds between two heartbeats of an activity with this time-out."""
    return (timeout or _NO_TIMEOUT).total_seconds() * _BEAT_SHARE
