"""What a rebuilt semaphore begins with: what the jobs tell, and what the last one had noted."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from temporalio.client import Client

from services.semaphore.models import Found
from services.semaphore.rebuilding.predecessor import Predecessor
from services.semaphore.rebuilding.rebuild import Seen
from shared.slot.messages import LONGEST_HOLD_SECONDS, Closed, Holder, Permit, SlotRequest
from shared.slot.watching import closed_by_now


async def merged(client: Client, seen: list[Seen], before: Predecessor) -> Found:
    """Who holds and who waits.

    The semaphore knows of permits that were not told yet, of kills that were cleared already,
    and of who asked just now; the jobs know what was told, also where its history has been deleted.
    """
    jobs = {item.request.run_id: item for item in seen}
    told = [*before.permits, *(item.permit for item in seen if item.permit)]
    permits = _latest([permit for permit in told if not _is_given_back(permit, jobs)])
    holders = [
        await _holder(client, permit, jobs.get(permit.run_id), ends_at=before.ends)
        for permit in permits.values()
        if not _is_cleared(permit, jobs.get(permit.run_id), before)
    ]
    asking = {item.request.run_id: item.request for item in seen if item.open and item.asking}
    asked = {request.run_id: request for request in before.waiting if request.run_id not in jobs}
    waiting = [each for each in (asked | asking).values() if each.run_id not in permits]
    return Found(
        settings=before.settings,
        holders=tuple(holder for holder in holders if holder is not None),
        waiting=tuple(waiting),
    )


def _is_given_back(permit: Permit, jobs: dict[str, Seen]) -> bool:
    """Whether its run gave it back, also where the last semaphore never heard of it."""
    job = jobs.get(permit.run_id)
    return job is not None and permit.token <= job.released


def _is_cleared(permit: Permit, job: Seen | None, before: Predecessor) -> bool:
    """Whether a killed run's leftovers are known to be gone: the last semaphore saw to it."""
    killed = job is not None and not job.open
    return killed and before.known and permit.run_id not in {p.run_id for p in before.permits}


def _latest(permits: list[Permit]) -> dict[str, Permit]:
    """By run, the permit of the highest token."""
    return {permit.run_id: permit for permit in sorted(permits, key=lambda p: p.token)}


async def _holder(
    client: Client, permit: Permit, job: Seen | None, *, ends_at: Mapping[str, datetime]
) -> Holder | None:
    """Who holds by a permit; it is told again, in case its run missed it.

    A run that was killed, or that nobody knows, counts as a holder: its watch finds out what
    became of it, and its leftovers are cleared. One that has ended in order is out.
    """
    listed_as_killed = job is not None and not job.open
    if not listed_as_killed and await closed_by_now(client, permit.run) is Closed.ORDERLY:
        return None
    now = datetime.now(UTC)
    unknown = SlotRequest(job_id=permit.job_id, run_id=permit.run_id, requested_at=now)
    ends = ends_at.get(permit.run_id, now + timedelta(seconds=LONGEST_HOLD_SECONDS))
    return Holder(
        request=job.request if job else unknown,
        token=permit.token,
        since=now,
        holds_seconds=(ends - now).total_seconds(),
    )
