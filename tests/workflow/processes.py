"""Services as processes of their own, to be killed or frozen; each ends with its test.

They are forked from one process that has imported everything, for imports are most of a start.
"""

import contextlib
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from multiprocessing.context import ForkServerProcess
from typing import Any

import httpx
import pytest

from services.semaphore import __main__ as semaphore
from services.worker import __main__ as worker
from services.worker.results import checker
from services.worker.vendors.service import ImageService
from shared.http.client import http_client
from tests.fixtures.eventually import eventually
from tests.fixtures.processes import free_port
from tests.workflow.pipeline import SECRET, Pipeline

IMPORTED = ["shared.health", "tests.workflow.deaths"]


def forked(target: Callable[..., None], *args: Any) -> ForkServerProcess:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(IMPORTED)
    process = context.Process(target=target, args=args, daemon=True)
    process.start()
    return process


def send(process: ForkServerProcess, how: signal.Signals) -> None:
    assert process.pid is not None
    os.kill(process.pid, how)


def hanging_worker() -> None:
    """The real one, whose event loop stops at the first submit, as in a library that waits in the
    wrong place."""

    def hang(*_: object, **__: object) -> None:
        while True:
            time.sleep(3600)

    ImageService.submit = hang  # type: ignore[assignment, method-assign]
    worker.main()


def _run(main: Callable[[], None], environment: dict[str, str], opener: tuple[str, ...]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checker, "COMMAND", opener)
        main()


class Workers:
    """Starts what `python -m services.worker` runs, for a pipeline without a worker of its own."""

    def __init__(self, line: Pipeline) -> None:
        self._line = line
        # By the port of its health.
        self._processes: dict[int, ForkServerProcess] = {}

    def start(
        self,
        count: int = 1,
        *,
        main: Callable[[], None] = worker.main,
        environment: Mapping[str, str] | None = None,
    ) -> list[ForkServerProcess]:
        ports = [free_port() for _ in range(count)]
        for port in ports:
            changed = {**self._environment(port), **(environment or {})}
            self._processes[port] = forked(_run, main, changed, checker.COMMAND)
        return [self._processes[port] for port in ports]

    def start_semaphore(self) -> None:
        self.start(main=semaphore.main)

    def _environment(self, port: int) -> dict[str, str]:
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
        }

    def kill(self) -> None:
        """SIGKILL to all of them, at once; returns when all are gone."""
        for process in self._processes.values():
            process.kill()
        for process in self._processes.values():
            process.join()
        self._processes.clear()

    async def ready(self) -> None:
        """Return when each of them says that it has reached the server."""
        for port in self._processes:
            async with http_client(f"http://127.0.0.1:{port}") as http:
                await eventually(lambda http=http: _is_ready(http), bool)  # type: ignore[misc]

    async def of(self, job_id: str) -> ForkServerProcess:
        """The process that runs the job's activity; an identity begins with the process id."""

        async def look() -> str:
            description = (await self._line.job(job_id).describe()).raw_description
            return next((e.last_worker_identity for e in description.pending_activities), "")

        pid = (await eventually(look, lambda found: "@" in found)).split("-")[0]
        return next(each for each in self._processes.values() if str(each.pid) == pid)


async def _is_ready(http: httpx.AsyncClient) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        return (await http.get("/readyz")).is_success
    return False


@contextlib.contextmanager
def worker_processes(line: Pipeline) -> Iterator[Workers]:
    workers = Workers(line)
    try:
        yield workers
    finally:
        workers.kill()
