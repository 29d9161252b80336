"""How the race of callback and poll is decided, case by case; docs/callbacks.md says the same."""

from typing import NamedTuple

from services.callback.models import Fate
from shared.http.client import http_client
from shared.jobs.messages import Record
from shared.jobs.states import Status
from shared.jobs.tokens import callback_url
from tests.fixtures.eventually import eventually
from tests.services.mock_core.serving import Json
from tests.workflow.pipeline import SECRET, Pipeline

ENDS = ("succeed", "failed")


class Outcome(NamedTuple):
    """The job's end, the videos that were paid for, and the fates of the callbacks of an end."""

    status: Status
    videos: int
    fates: tuple[Fate, ...] = ()


WELL = Status.SUCCEEDED
DECIDED: dict[str, Outcome] = {
    "callback first": Outcome(WELL, 1, (Fate.APPLIED,)),
    "callback never": Outcome(WELL, 1),
    "callback twice": Outcome(WELL, 1, (Fate.APPLIED, Fate.DUPLICATE)),
    "failed after succeed": Outcome(WELL, 1, (Fate.APPLIED, Fate.OUT_OF_ORDER)),
    "succeed after failed": Outcome(WELL, 1, (Fate.APPLIED, Fate.OUT_OF_ORDER)),
    "another attempt's callback": Outcome(WELL, 2, (Fate.LATE,)),
    "callback before the submit's reply": Outcome(WELL, 1, (Fate.EARLY,)),
    "late after the end": Outcome(WELL, 1, (Fate.LATE,)),
}


async def decided(line: Pipeline, case: str, job_id: str) -> Record:
    """The job's record, once it and its receipts are as the case was decided."""
    outcome = DECIDED[case]
    record = await line.ended(job_id)
    assert (record.status, record.attempts.video) == (outcome.status, outcome.videos)
    assert await fates(line, job_id, len(outcome.fates)) == list(outcome.fates)
    return record


async def receipts(line: Pipeline, job_id: str) -> list[Json]:
    """What the receiver has noted for a job, oldest first."""
    async with http_client(line.settings.callback_url) as http:
        rows = (await http.get("/callbacks", params={"job_id": job_id})).json()
    assert isinstance(rows, list)
    return rows


async def fates(line: Pipeline, job_id: str, count: int) -> list[Fate]:
    """The fates of the callbacks that tell an end, as soon as there are so many."""

    async def look() -> list[Fate]:
        rows = await receipts(line, job_id)
        return [Fate(each["fate"]) for each in rows if each["task_status"] in ENDS]

    return await eventually(look, lambda found: len(found) >= count)


async def call_back(line: Pipeline, external_id: str, status: str, *, at: int) -> None:
    """A callback as the vendor would send it of this task."""
    task = await line.videos.row(external_id)
    url = callback_url(line.settings.callback_url, SECRET.get_secret_value(), external_id)
    body = {"task_id": task["job_id"], "task_status": status, "updated_at": at}
    async with http_client() as http:
        (await http.post(url, json=body)).raise_for_status()
