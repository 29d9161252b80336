"""What a rebuilt keeper begins with: both books, the jobs' and the last keeper's, put together."""

from datetime import UTC, datetime

from temporalio.client import Client

from services.keeper.models import Found
from services.keeper.predecessor import Predecessor
from services.keeper.rebuild import Seen
from shared.slots import Armed, Holder, Permit, SlotRequest
from shared.watching import Closed, closed_by_now


async def sort_out(client: Client, seen: list[Seen], before: Predecessor) -> Found:
    """Who holds, who comes next, and who waits.

    The keeper knows of permits that were not told yet, and of kills that were cleared already;
    the jobs know what was told, also where the keeper's history has been deleted.
    """
    jobs = {item.request.run_id: item for item in seen}
    told = [*before.permits, *(item.permit for item in seen if item.permit)]
    permits = _latest([permit for permit in told if not _is_void(permit, jobs)])
    places = [
        await _place(client, permit, jobs.get(permit.run_id))
        for permit in permits.values()
        if not _is_cleared(permit, jobs.get(permit.run_id), before)
    ]
    asking = [
        item.request
        for item in seen
        if item.open and item.asking and item.request.run_id not in permits
    ]
    return Found(
        settings=before.settings,
        holders=tuple(place for place in places if isinstance(place, Holder)),
        armed=tuple(place for place in places if isinstance(place, Armed)),
        waiting=(*asking, *(place for place in places if isinstance(place, SlotRequest))),
    )


def _is_void(permit: Permit, jobs: dict[str, Seen]) -> bool:
    """Whether its run gave it back or stood down, also where the last keeper never heard of it."""
    job = jobs.get(permit.run_id)
    return job is not None and (permit.token <= job.released or permit.order <= job.stood_down)


def _is_cleared(permit: Permit, job: Seen | None, before: Predecessor) -> bool:
    """Whether a killed run's leftovers are known to be gone: the last keeper saw to it."""
    killed = job is not None and not job.open
    return killed and before.known and permit.run_id not in {p.run_id for p in before.permits}


def _latest(permits: list[Permit]) -> dict[str, Permit]:
    """By run, the permit of the highest token and round."""
    return {permit.run_id: permit for permit in sorted(permits, key=lambda p: p.order)}


async def _place(
    client: Client, permit: Permit, job: Seen | None
) -> Holder | Armed | SlotRequest | None:
    """Where a run with a permit stands; it is told again, in a new round, in case it missed it.

    A run that was killed, or that nobody knows, counts as a holder: its watch finds out what
    became of it, and its leftovers are cleared. One that has ended in order is out.
    """
    listed_as_killed = job is not None and not job.open
    if not listed_as_killed and await closed_by_now(client, permit.run) is Closed.ORDERLY:
        return None
    now = datetime.now(UTC)
    unknown = SlotRequest(job_id=permit.job_id, run_id=permit.run_id, requested_at=now)
    request = job.request if job else unknown
    holder = Holder(request=request, token=permit.token, round=permit.round + 1, since=now)
    if permit.after is None or (job is not None and (job.begun or not job.open)):
        return holder
    closed = await closed_by_now(client, permit.after)
    if closed is None:
        return Armed(holder=holder, behind=permit.after)
    return holder if closed is Closed.ORDERLY else request
