"""Where a listener goes on, the same for sockets and streams: what it has not had yet."""

from services.api.feed.feed import versions_after
from services.api.service import Service
from shared.jobs.messages import Job

# So many frames are sent in a row before others get their turn.
BURST = 50
# No job comes near it.
MOST_VERSION = 10**9


async def missed_versions(job: Job, since: int | None, *, service: Service) -> list[Job]:
    """What to send first, as of after the subscription, so that no change falls between."""
    if since is not None:
        record = await service.jobs.record(job.job_id)
        if record is not None:
            return versions_after(record, since)
    newest = service.feed.index.get(job.job_id)
    shown = newest if newest is not None and newest.version > job.version else job
    return [shown] if since is None or shown.version > since else []


def has_it_all(job: Job, since: int | None) -> bool:
    """Whether nothing comes after that version any more."""
    return since is not None and job.status.ended and since >= job.version
