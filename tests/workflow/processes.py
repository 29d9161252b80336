"""Workers as real processes, to be killed or frozen; what is left of them ends with the test."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import httpx

from shared.http.client import http_client
from tests.fixtures.eventually import eventually
from tests.fixtures.processes import free_port
from tests.workflow.pipeline import SECRET, Pipeline

Process = subprocess.Popen[bytes]
WORKER, SEMAPHORE = "services.worker", "services.semaphore"


class Workers:
    """Starts `python -m services.worker` for a pipeline that has no worker of its own."""

    def __init__(self, line: Pipeline) -> None:
        self._line = line
        self.processes: list[Process] = []
        self._ports: list[int] = []

    def start(self, count: int = 1, *, module: str = WORKER, **environment: str) -> list[Process]:
        return [self._start(module, free_port(), changes=environment) for _ in range(count)]

    def _start(self, module: str, port: int, *, changes: dict[str, str]) -> Process:
        environment = self._environment(port, changes)
        process = subprocess.Popen([sys.executable, "-m", module], env=environment)
        self.processes.append(process)
        self._ports.append(port)
        return process

    def _environment(self, port: int, changes: dict[str, str]) -> dict[str, str]:
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
            "ACCEPT_SECONDS": str(settings.accept_seconds),
            "LOG_LEVEL": "WARNING",
            "SHUTDOWN_SECONDS": "0.5",
            "WORKER_HTTP_PORT": str(port),
            "SEMAPHORE_HTTP_PORT": str(port),
            **changes,
        }

    def start_semaphore(self) -> None:
        self.start(module=SEMAPHORE)

    def end(self, how: signal.Signals) -> None:
        """The same signal for all of them, at once; returns when all are gone."""
        for process in self.processes:
            process.send_signal(how)
        for process in self.processes:
            process.wait()
        self.processes.clear()
        self._ports.clear()

    def kill(self) -> None:
        self.end(signal.SIGKILL)

    async def ready(self) -> None:
        """Return when each of them says that it has reached the server."""
        for port in self._ports:
            async with http_client(f"http://127.0.0.1:{port}") as http:
                await eventually(lambda http=http: _is_ready(http), bool)  # type: ignore[misc]

    async def of(self, job_id: str) -> Process:
        """The process that runs the job's activity; an identity begins with the process id."""

        async def look() -> str:
            description = (await self._line.job(job_id).describe()).raw_description
            return next((e.last_worker_identity for e in description.pending_activities), "")

        pid = _pid(await eventually(look, lambda found: "@" in found))
        return next(each for each in self.processes if each.pid == pid)


async def _is_ready(http: httpx.AsyncClient) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        return (await http.get("/readyz")).is_success
    return False


def _pid(identity: str) -> int:
    return int(identity.split("@")[0])


@contextlib.contextmanager
def worker_processes(line: Pipeline) -> Iterator[Workers]:
    workers = Workers(line)
    try:
        yield workers
    finally:
        workers.kill()
