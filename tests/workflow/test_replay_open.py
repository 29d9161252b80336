"""Open jobs and semaphores replayed by the programs that `make up` runs."""

import asyncio
import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from temporalio.client import Client, WorkflowExecution

from services.semaphore.replay_open import open_semaphores
from services.worker.replay_open import SAMPLE, choose, open_jobs
from shared.jobs.genvideo import GENVIDEO
from shared.jobs.slots import JOB_GATE
from shared.jobs.states import Status
from shared.replay import replaying
from shared.replay.replaying import replay_open
from shared.result_line import AWAY
from shared.semaphore.workflow import SemaphoreWorkflow
from tests.fixtures.eventually import eventually
from tests.fixtures.processes import free_port
from tests.fixtures.temporal import NewClient
from tests.workflow.pipeline import Pipeline, working
from tests.workflow.scenarios import rule

LONG = rule("start", "slow", extra=3_600_000)
KEY = "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVoxMjM0NTY="


async def replayed(client: Client, service: str, key: str = "") -> Any:
    env = {
        "PATH": os.environ["PATH"],
        "TEMPORAL_ADDRESS": client.service_client.config.target_host,
        "TEMPORAL_NAMESPACE": client.namespace,
        "PAYLOAD_KEY": key,
    }
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-m", f"services.{service}.replay_open",
        env=env, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, _ = await program.communicate()
    assert program.returncode == 0
    return json.loads(out.splitlines()[-1])


async def one_runs_and_one_waits(line: Pipeline) -> list[str]:
    await line.images.arm(LONG)
    running = await line.submit("runs")
    await line.until(running, Status.RUNNING)
    waiting = await line.submit("waits")
    await line.until(waiting, Status.QUEUED)
    await eventually(lambda: open_jobs(line.client), lambda found: found.total == 2)
    return [running, waiting]


async def test_open_runs_replay_with_this_code_and_their_key(
    new_client: NewClient, tmp_path: Path
) -> None:
    """With a changed workflow they do not: `tests/stack/test_local.py`."""
    client = await new_client(KEY)
    async with working(client, tmp_path) as line:
        await one_runs_and_one_waits(line)
        semaphores = len((JOB_GATE, *GENVIDEO.names))
        for service, count in (("worker", 2), ("semaphore", semaphores)):
            found = await replayed(client, service, KEY)
            assert found == {"open": count, "replayed": count, "failures": {}}


async def test_runs_without_a_task_are_skipped(client: Client) -> None:
    assert await replayed(client, "worker") == {"open": 0, "replayed": 0, "failures": {}}
    await client.start_workflow("GenVideoWorkflow", id="job-new", task_queue="nobody")
    await eventually(lambda: open_jobs(client), lambda found: found.total == 1)
    assert await replayed(client, "worker") == {"open": 1, "replayed": 0, "failures": {}}


def test_unreachable_server_has_its_own_status(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", f"127.0.0.1:{free_port()}")
    monkeypatch.setattr(replaying, "CONNECT_SECONDS", 0.5)
    assert replay_open(SemaphoreWorkflow, open_semaphores) == AWAY
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("count", [0, 1, SAMPLE, SAMPLE + 1, 12_000])
def test_all_started_runs_and_a_sample_of_the_others_are_replayed(count: int) -> None:
    listed = [cast(WorkflowExecution, SimpleNamespace(id=f"job-{n}")) for n in range(count)]
    begun = {job.id for job in listed[1::3][:300]}
    chosen = [job.id for job in choose(listed, begun)]
    assert begun <= set(chosen)
    assert len(chosen) == len(set(chosen))
    assert min(SAMPLE // 2, count - len(begun)) <= len(chosen) - len(begun) <= SAMPLE
