"""Workers as real processes, killed or frozen in mid-job: another goes on, nothing paid twice."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from temporalio.client import Client

from services.keeper.worker import running_keeper
from shared.messages import Attempts
from shared.states import Status
from tests.fixtures.eventually import eventually
from tests.services.mock_core.serving import Service
from tests.workflow.pipeline import SECRET, Pipeline, pipeline
from tests.workflow.scenarios import rule
from tests.workflow.test_cancelling import begun

# Some seconds long, so that a worker is sure to be killed in the middle.
LONG = rule("start", "slow", factor=40)


@contextlib.contextmanager
def worker_processes(line: Pipeline, count: int) -> Iterator[list[int]]:
    """`python -m services.worker`, as often as wanted; what is left is killed at the end."""
    settings = line.settings
    environment = {
        **os.environ,
        "TEMPORAL_ADDRESS": line.client.service_client.config.target_host,
        "TEMPORAL_NAMESPACE": line.client.namespace,
        "DATA_DIR": str(settings.data_dir),
        "IMAGE_SERVICE_URL": settings.image_service_url,
        "VIDEO_SERVICE_URL": settings.video_service_url,
        "CALLBACK_URL": settings.callback_url,
        "CALLBACK_SECRET": SECRET.get_secret_value(),
        "LOG_LEVEL": "WARNING",
    }
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "services.worker"],
            env={**environment, "WORKER_HTTP_PORT": str(_free_port())},
        )
        for _ in range(count)
    ]
    try:
        yield [process.pid for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
async def line(client: Client, tmp_path: Path) -> AsyncIterator[Pipeline]:
    async with pipeline(client, tmp_path) as line, running_keeper(client, shutdown_seconds=0.1):
        yield line


async def worker_of(line: Pipeline, job_id: str) -> int:
    """The process that runs the job's activity; an identity begins with the process id."""

    async def look() -> str:
        description = (await line.job(job_id).describe()).raw_description
        return next((each.last_worker_identity for each in description.pending_activities), "")

    identity = await eventually(look, lambda found: "@" in found)
    return int(identity.split("@")[0])


def service_of(line: Pipeline, stage: str) -> Service:
    return line.images if stage == "image" else line.videos


@pytest.mark.parametrize("end", ["image: killed", "video: killed", "video: frozen"])
async def test_the_job_goes_on_elsewhere(line: Pipeline, end: str) -> None:
    stage, how = end.split(": ")
    await service_of(line, stage).arm({**LONG, "match": {"prompt": "long"}})
    with worker_processes(line, 2) as pids:
        job_id, following = await line.submit("long"), await line.submit("next")
        await begun(service_of(line, stage), f"{job_id}.{stage}.1")
        victim = await worker_of(line, job_id)
        assert victim in pids
        os.kill(victim, signal.SIGKILL if how == "killed" else signal.SIGSTOP)
        record = await line.ended(job_id)
        if how == "frozen":
            os.kill(victim, signal.SIGCONT)
        assert (record.status, record.attempts) == (Status.SUCCEEDED, Attempts(image=1, video=1))
        assert (await line.ended(following)).status is Status.SUCCEEDED
    for service in (line.images, line.videos):
        rows = await service.json("/admin/ledger")
        assert len(rows) == 2
        assert len({row["external_id"] for row in rows}) == 2
        assert (await service.json("/admin/verdict"))["ok"]
        tokens = [row["token"] for row in rows]
        assert tokens == sorted(tokens)
    await line.free()
