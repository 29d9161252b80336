"""Whether a job had time to do anything: for how long nothing that it needs was struck."""

from collections.abc import Mapping, Sequence
from typing import Any

from tests.chaos.schedule import (
    IMAGE_WIRE,
    IMAGES,
    SEMAPHORE,
    SEMAPHORE_WORKFLOW,
    SERVER,
    VIDEO_WIRE,
    VIDEOS,
    WIRE,
    WORKER,
    WORKERS,
)

NEEDED = frozenset(
    {
        *(SERVER, WIRE, WORKERS, *WORKER, SEMAPHORE, SEMAPHORE_WORKFLOW),
        *(IMAGES, IMAGE_WIRE, VIDEOS, VIDEO_WIRE),
    }
)
# A try that was killed leaves a doubt whether it submitted. The next one looks for that during the
# scene's ACCEPT_SECONDS (20) before it submits, and what was killed needs some 10 s to come back.
ENOUGH_SECONDS = 30.0


def longest_quiet(struck: Sequence[Mapping[str, Any]], since: float, until: float) -> float:
    """The longest stretch of these seconds (since 1970) in which nothing was struck that lasts.

    What struck a vendor's wire while nobody came along was no strike.
    """
    spans = sorted(
        (strike["epoch"], strike["epoch"] + strike.get("seconds", 0.0))
        for strike in struck
        if strike["target"] in NEEDED and strike.get("met") != 0
    )
    longest, quiet_since = 0.0, since
    for began, over in spans:
        if over > since and began < until:
            longest = max(longest, began - quiet_since)
            quiet_since = max(quiet_since, over)
    return max(longest, until - quiet_since)
