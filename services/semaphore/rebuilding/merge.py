"""What a rebuilt semaphore begins with: what the jobs tell, and what the last one had noted."""

from datetime import datetime

from temporalio.client import Client

from services.semaphore.models import Found
from services.semaphore.rebuilding.predecessor import Predecessor
from services.semaphore.rebuilding.rebuild import Seen
from shared.slot.messages import Closed, Holder, Permit, SlotRequest
from shared.slot.watching import closed_by_now


async def merged(client: Client, seen: list[Seen], before: Predecessor, *, now: datetime) -> Found:
    """Who holds and who waits; `now`: by the server's clock.

    The semaphore knows of permits that were not signalled yet, of drains that ended, and of who
    asked just now; the jobs know what was signalled, also if its history has been deleted. A killed
    run counts as cleared only where the end of its own drain is seen.
    """
    jobs = {item.request.run_id: item for item in seen}
    told = [*before.permits, *(item.permit for item in seen if item.permit)]
    permits = _latest([permit for permit in told if not _is_given_back(permit, jobs)])
    holders = [
        await _holder(client, permit, jobs.get(permit.run_id), now=now)
        for permit in permits.values()
        if permit.run_id not in before.cleared
    ]
    asking = {item.request.run_id: item.request for item in seen if item.open and item.asking}
    asked = {request.run_id: request for request in before.waiting if request.run_id not in jobs}
    waiting = [each for each in (asked | asking).values() if each.run_id not in permits]
    return Found(
        settings=before.settings,
        holders=tuple(holder for holder in holders if holder is not None),
        waiting=tuple(waiting),
        remembered=before.known,
    )


def _is_given_back(permit: Permit, jobs: dict[str, Seen]) -> bool:
    """Whether its run gave it back, also where the last semaphore never heard of it."""
    job = jobs.get(permit.run_id)
    return job is not None and permit.token <= job.released


def _latest(permits: list[Permit]) -> dict[str, Permit]:
    """By run, the permit of the highest token."""
    return {permit.run_id: permit for permit in sorted(permits, key=lambda p: p.token)}


async def _holder(
    client: Client, permit: Permit, job: Seen | None, *, now: datetime
) -> Holder | None:
    """Who holds by a permit; it is signalled again, in case its run missed it.

    A run that was killed, or that is unknown, counts as a holder: its watch finds out how it
    closed, and its leftovers are cleared. One that has ended in order is out.
    """
    listed_as_killed = job is not None and not job.open
    if not listed_as_killed and await closed_by_now(client, permit.run) is Closed.ORDERLY:
        return None
    unknown = SlotRequest(job_id=permit.job_id, run_id=permit.run_id, requested_at=now)
    return Holder(request=job.request if job else unknown, token=permit.token, since=now)
