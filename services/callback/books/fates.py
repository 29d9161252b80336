"""The fate of a callback, from what is on record; pure, and the first reason that holds decides."""

from collections.abc import Iterable

from services.callback.job_records import JobView
from services.callback.models import Event, Fate
from shared.jobs.ids import Generation, is_named

# An event with one of these fates was taken note of for good; the same one again is a duplicate.
SETTLED = frozenset({Fate.APPLIED, Fate.EARLY, Fate.LATE, Fate.OUT_OF_ORDER})
# Whether the workflow runs is for Temporal to say.
FOR_TEMPORAL = frozenset({Fate.APPLIED, Fate.EARLY})


def fate_of(
    event: Event, generation: Generation, *, job: JobView | None, past: Iterable[Event]
) -> Fate:
    """What becomes of an event of this generation, as far as the disk can tell.

    `past` are the settled events of the same job and task. `applied` and `early` may yet turn
    into `late` or `unknown`, by Temporal's word.
    """
    if job is not None and _is_another_attempts(event, job):
        return Fate.REJECTED
    before = list(past)
    if any(_repeats(event, each) for each in before):
        return Fate.DUPLICATE
    if job is not None and (job.ended or job.video_attempt > generation.attempt):
        return Fate.LATE
    if any(_is_older(event, each) for each in before):
        return Fate.OUT_OF_ORDER
    known = None if job is None else job.tasks.get(event.external_id)
    if known is None:
        return Fate.EARLY
    return Fate.APPLIED if is_named(known, event.task_id or "") else Fate.UNKNOWN


def fate_after_quarantine(held: Fate, found: Fate, *, expired: bool) -> Fate | None:
    """What one in quarantine becomes, given what it would be now; None: it stays there.

    An early one was told when it came, so it stays `early` once its task is known; an unknown one
    becomes what it would be now. Nobody's by the end of its time: `unknown` for good.
    """
    open_still = Fate.EARLY if held is Fate.EARLY else Fate.UNKNOWN
    if found is open_still:
        return Fate.UNKNOWN if expired else None
    return found if held is Fate.UNKNOWN or found is Fate.UNKNOWN else Fate.EARLY


def _is_another_attempts(event: Event, job: JobView) -> bool:
    return any(
        is_named(kept, event.task_id or "") and known != event.external_id
        for known, kept in job.tasks.items()
    )


def _repeats(event: Event, other: Event) -> bool:
    return (event.task_status, event.updated_at) == (other.task_status, other.updated_at)


def _is_older(event: Event, other: Event) -> bool:
    """An end absorbs whatever comes after it; else the vendor's own time decides."""
    if other.ended:
        return True
    if event.updated_at is None or other.updated_at is None:
        return False
    return event.updated_at < other.updated_at
