"""A job's local activities: its record is written, and its slot requested."""

from pathlib import Path
from typing import Any, cast

import pytest
from pydantic import SecretStr
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import ActivityEnvironment

from services.worker.settings.worker import WorkerSettings
from shared.errors import TemporalUnavailable
from shared.jobs.closing import close_record
from shared.jobs.ids import new_job_id
from shared.jobs.messages import Record
from shared.pipeline.messages import Enter, Entered, Recorded
from shared.pipeline.records import StateActivities
from shared.semaphore.messages import SlotRequest
from tests.fixtures.object_store import given_for
from tests.shared.standins import CREATED, sample_record


class Server:
    """A client of a server that notes who requests the slot, or refuses that."""

    def __init__(self, *, refuses: bool = False) -> None:
        self.requests: list[SlotRequest] = []
        self._refuses = refuses

    async def start_workflow(
        self, *_: object, start_signal_args: list[list[SlotRequest]], **__: object
    ) -> None:
        if self._refuses:
            raise RPCError("no", RPCStatusCode.PERMISSION_DENIED, b"")
        self.requests += start_signal_args[0]


def state(data_dir: Path, server: Server | None = None, **given: Any) -> StateActivities:
    secret = SecretStr("a-secret-of-32-characters-or-more")
    settings = WorkerSettings.model_validate(
        {"data_dir": data_dir, "callback_secret": secret, **given}
    )
    return StateActivities(settings, client=cast(Client, server or Server()))


async def recorded(activities: StateActivities, record: Record) -> Recorded:
    return cast(Recorded, await ActivityEnvironment().run(activities.record_state, record))


async def written(activities: StateActivities) -> Recorded:
    return await recorded(activities, sample_record(new_job_id()))


async def test_unreachable_store_stops_no_job(tmp_path: Path) -> None:
    activities = state(tmp_path, **given_for("http://127.0.0.1:9"))
    assert await written(activities) == Recorded()


async def test_later_version_of_the_same_run_is_returned(tmp_path: Path) -> None:
    activities = state(tmp_path)
    record = sample_record(new_job_id()).followed(CREATED, "queued")

    def after(one: Record, note: str) -> Record:
        return one.model_copy(update={"version": one.version + 1}).followed(CREATED, note)

    assert await recorded(activities, record) == Recorded()
    known = after(record, "of a task that was not taken")
    assert await recorded(activities, known) == Recorded()
    # Once more, as after an answer that was lost.
    assert await recorded(activities, known) == Recorded()
    own = Recorded(present=known)
    assert await recorded(activities, after(record, "otherwise")) == own
    assert await recorded(activities, after(after(record, "otherwise"), "on")) == own


async def test_record_of_another_run_stays(tmp_path: Path, moto: str) -> None:
    activities = state(tmp_path, **given_for(moto, prefix=new_job_id()))
    record, later = two_runs()
    assert await recorded(activities, later) == Recorded()
    assert await recorded(activities, record) == Recorded(present=later)
    assert activities._records.read(record.job_id) == later


async def test_end_of_this_run_stays(tmp_path: Path) -> None:
    activities = state(tmp_path)
    record = sample_record(new_job_id()).followed(CREATED, "queued")
    ended = close_record(record, "terminated")
    assert await recorded(activities, ended) == Recorded()
    later = record.model_copy(update={"version": ended.version + 1}).followed(CREATED, "on")
    assert await recorded(activities, later) == Recorded(present=ended)
    assert activities._records.read(record.job_id) == ended


@pytest.mark.parametrize("stands", [False, True])
async def test_job_requests_the_slot_unless_its_record_refuses(
    tmp_path: Path, stands: bool
) -> None:
    activities = state(tmp_path, server := Server())
    record, later = two_runs()
    if stands:
        await recorded(activities, later)
    assert (await entered(activities, record)).recorded.takes(record.run_id) is not stands
    assert [each.run_id for each in server.requests] == ([] if stands else [record.run_id])


async def entered(activities: StateActivities, record: Record) -> Entered:
    request = SlotRequest(job_id=record.job_id, run_id=record.run_id, requested_at=CREATED)
    enter = Enter(record=record, request=request)
    return cast(Entered, await ActivityEnvironment().run(activities.enter_queue, enter))


def two_runs() -> tuple[Record, Record]:
    """A version of one run, and the next one of another run."""
    record = sample_record(new_job_id(), run_id="one").followed(CREATED, "of one")
    later = record.model_copy(update={"version": record.version + 1, "run_id": "another"})
    return record, later.followed(CREATED, "of another")


async def test_job_waits_for_a_missing_permission(tmp_path: Path) -> None:
    activities = state(tmp_path, Server(refuses=True))
    record, _ = two_runs()
    with pytest.raises(TemporalUnavailable, match=r"refuses access \(no\)") as refused:
        await entered(activities, record)
    assert refused.value.retryable
