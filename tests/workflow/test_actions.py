"""What a job costs on a server that is paid by the call: by its own count, and by the pace."""

import math
from datetime import timedelta

import pytest

from services.worker import activities
from services.worker.deterministic import stages
from shared.jobs.states import Status
from shared.semaphore.messages import Gate
from shared.temporal.client import GET_RECORD_QUERY
from shared.temporal.pace import Pace, between_beats
from tests.fixtures.counted import ROUND_SECONDS, Counts, counts
from tests.fixtures.eventually import eventually
from tests.fixtures.server import Server
from tests.workflow.pipeline import Pipeline

BEAT, QUERY = "grpc_RecordActivityTaskHeartbeat", "grpc_QueryWorkflow"
# Of an ordinary job, in seconds.
IMAGE, VIDEO = 30, 134
# An undisturbed one takes 86 and 26; where its poll ends together with the callback, some more.
MOST = {Pace.FAST: 100, Pace.CLOUD: 40}


@pytest.fixture(autouse=True)
def _at_once_on_a_busy_machine_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activities, "AT_ONCE_SECONDS", 30)
    monkeypatch.setattr(stages, "LOCAL_TIMEOUT", timedelta(seconds=60))


async def test_a_job_of_164_s_has_no_more_actions_than_its_pace_allows(
    line: Pipeline, temporal_server: Server
) -> None:
    async def counted(queries: int) -> Counts:
        """Once a question is counted, so is all before it."""
        return await eventually(
            lambda: counts(temporal_server.metrics_port, line.client.namespace),
            lambda found: found.actions[QUERY] >= queries,
            pause=ROUND_SECONDS,
        )

    await line.free()
    before = await counted(len(Gate))
    record = await line.run()
    assert record.status is Status.SUCCEEDED
    await line.job(record.job_id).query(GET_RECORD_QUERY)
    after = await counted(before.actions[QUERY] + 1)
    actions = (after - before).actions
    assert actions["grpc_StartWorkflowExecution"] > 0
    without_time = sum(number for what, number in actions.items() if what not in (BEAT, QUERY))
    for pace, most in MOST.items():
        assert without_time + in_all_that_time(pace) <= most, (pace, actions)


def in_all_that_time(pace: Pace) -> int:
    """Beats of image, video and watch; who holds, who is unknown."""
    times, whole = pace.times, IMAGE + VIDEO
    waits = ((IMAGE, times.work), (VIDEO, times.wait), (whole, times.watch))
    beats = sum(seconds / between_beats(timeout) for seconds, timeout in waits)
    # A vendor's acceptance is told at once, so that a retry knows of it.
    acceptances = 3
    asked = whole / times.care.total_seconds() + 2 * whole / times.look.total_seconds()
    return math.ceil(beats + acceptances + asked)
