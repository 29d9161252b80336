"""Workers as real processes, to be killed or frozen; what is left of them ends with the test."""

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator

from tests.fixtures.eventually import eventually
from tests.workflow.pipeline import SECRET, Pipeline

Process = subprocess.Popen[bytes]
WORKER = "services.worker"


class Workers:
    """Starts `python -m services.worker` for a pipeline that has no worker of its own."""

    def __init__(self, line: Pipeline) -> None:
        self._line = line
        self.processes: list[Process] = []

    def start(self, count: int = 1, *, module: str = WORKER, **environment: str) -> list[Process]:
        """So many more of them, not waited for."""
        started = [
            subprocess.Popen([sys.executable, "-m", module], env=self._environment(environment))
            for _ in range(count)
        ]
        self.processes += started
        return started

    def _environment(self, changes: dict[str, str]) -> dict[str, str]:
        settings, client = self._line.settings, self._line.client
        return {
            **os.environ,
            "TEMPORAL_ADDRESS": client.service_client.config.target_host,
            "TEMPORAL_NAMESPACE": client.namespace,
            "DATA_DIR": str(settings.data_dir),
            "IMAGE_SERVICE_URL": settings.image_service_url,
            "VIDEO_SERVICE_URL": settings.video_service_url,
            "CALLBACK_URL": settings.callback_url,
            "CALLBACK_SECRET": SECRET.get_secret_value(),
            "LOG_LEVEL": "WARNING",
            "WORKER_HTTP_PORT": str(free_port()),
            **changes,
        }

    def kill(self) -> None:
        """SIGKILL for all of them, at once."""
        for process in self.processes:
            process.kill()
        for process in self.processes:
            process.wait()

    async def of(self, job_id: str) -> Process:
        """The process that runs the job's activity; an identity begins with the process id."""
        pid = await self._pid_of(job_id)
        return next(each for each in self.processes if each.pid == pid)

    async def _pid_of(self, job_id: str) -> int:
        async def look() -> str:
            description = (await self._line.job(job_id).describe()).raw_description
            return next((e.last_worker_identity for e in description.pending_activities), "")

        identity = await eventually(look, lambda found: "@" in found)
        return int(identity.split("@")[0])


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def worker_processes(line: Pipeline) -> Iterator[Workers]:
    """Workers as processes for as long as the block runs."""
    workers = Workers(line)
    try:
        yield workers
    finally:
        workers.kill()
