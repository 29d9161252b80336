"""Health of a process that polls Temporal: an HTTP port, and a watchdog that ends a stalled one."""

import asyncio
import os
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import stamina
import structlog
from fastapi import FastAPI
from temporalio.client import Client
from temporalio.service import RPCError

from shared.errors import TemporalRefuses
from shared.http.web import server, service_app
from shared.settings.common import PollingSettings
from shared.telemetry import logs
from shared.telemetry.sdk_metrics import measured_runtime
from shared.temporal.client import connect
from shared.temporal.codec import PayloadKeys
from shared.temporal.namespace import see_all, see_namespace, why

log = structlog.get_logger(__name__)

EX_FAILED = 1
EX_TEMPFAIL = 75
TICK_SECONDS = 0.5
CONNECT_WAIT_MAX_SECONDS = 2.0
# `/readyz` must answer within this.
READY_SECONDS = 3.0

# What runs while the process is up, given a connected client.
Body = Callable[[Client], AbstractAsyncContextManager[object]]
# Why a dependency isn't ready, or None if it is.
Check = Callable[[], Awaitable[str | None]]


def run_worker(
    name: str,
    body: Body,
    config: PollingSettings,
    *,
    port: int,
    checks: Mapping[str, Check] | None = None,
) -> None:
    """Serve health and run the body until SIGTERM; return 1 if the body fails by itself.

    `name` is that of the service in logs.
    """
    logs.configure(service=name, level=config.log_level, form=config.log_format)
    work = Work(name, body, config, checks)

    def stop() -> None:
        program.should_exit = True

    program = server(work.app(stop), config.listen_host, port=port)
    program.run()
    if work.status:
        raise SystemExit(work.status)


@dataclass
class Work:
    """The body of the process. It begins when Temporal answers, and ends when it is cancelled or
    fails.

    `checks` are further dependencies for `/readyz`.
    """

    name: str
    body: Body
    config: PollingSettings
    checks: Mapping[str, Check] | None = None
    status: int = 0
    client: Client | None = None
    waiting: str = "does not answer yet; waiting for it"

    def app(self, stop: Callable[[], None]) -> FastAPI:
        """Return the app with `/healthz`, `/readyz`, `/metrics`; a failure of the work calls
        `stop`."""

        @asynccontextmanager
        async def lifespan(app: FastAPI) -> AsyncIterator[None]:
            dog = asyncio.create_task(watchdog(self.config.stall_seconds))
            task = asyncio.create_task(self.run())
            task.add_done_callback(ended)
            yield
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            dog.cancel()

        def ended(task: asyncio.Task[None]) -> None:
            if not task.cancelled() and (error := task.exception()) is not None:
                log.critical("the work has failed, exiting", exc_info=error)
                self.status = EX_FAILED
                stop()

        title, hosts = f"genvideo {self.name}", self.config.hosts
        return service_app(title, ready=self._reasons, lifespan=lifespan, hosts=hosts)

    async def run(self) -> None:
        """Wait for the server, however long it takes; then work until cancelled."""
        self.client = await connect_when_up(self.config.payload_keys, report=self._wait)
        async with self.body(self.client):
            await asyncio.Event().wait()

    async def _reasons(self) -> Mapping[str, str | None]:
        others = {name: check() for name, check in (self.checks or {}).items()}
        return await reasons_of({"temporal": self._temporal(), **others})

    async def _temporal(self) -> str | None:
        return self.waiting if self.client is None else await temporal_reason(self.client)

    def _wait(self, reason: str) -> None:
        if reason != self.waiting:
            self.waiting = reason
            log.warning("waiting for Temporal", reason=reason)


@stamina.retry(
    on=(RuntimeError, RPCError), attempts=None, timeout=None, wait_max=CONNECT_WAIT_MAX_SECONDS
)
async def connect_when_up(keys: PayloadKeys, *, report: Callable[[str], None]) -> Client:
    """Return a client once there is a namespace that we may use, however long it takes.

    Each failed try is reported to `report`.
    """
    try:
        client = await connect(keys, runtime=measured_runtime())
        await see_namespace(client)
    except (RuntimeError, RPCError) as error:
        report(why(error))
        raise
    return client


async def lazy_client(keys: PayloadKeys) -> Client:
    """Return a client that connects at its first call, for services that start without the
    server."""
    return await connect(keys, runtime=measured_runtime(), lazy=True)


async def reasons_of(checks: Mapping[str, Awaitable[str | None]]) -> Mapping[str, str | None]:
    """Return the result of each check; all run at once, so silent ones delay no other."""
    return dict(zip(checks, await asyncio.gather(*checks.values()), strict=True))


async def temporal_reason(client: Client, *, seconds: float = READY_SECONDS) -> str | None:
    """Return why Temporal isn't ready, or None if it answers within the given time."""
    try:
        # The call's own limit does not cover the first connection of a lazy client.
        async with asyncio.timeout(seconds):
            await see_all(client)
    except TimeoutError:
        return "does not answer"
    except TemporalRefuses as refused:
        return refused.message
    except (RPCError, RuntimeError) as error:
        return why(error)
    return None


async def watchdog(stall_seconds: float) -> None:
    """End the process when its event loop stands still for `stall_seconds`.

    Otherwise the SDK's threads would go on polling for a loop that never answers; the supervisor
    restarts the process. Time in which a busy machine gives the loop no processor does not count,
    because a new process would get none either. Runs until it is cancelled.
    """
    thread, stopped = threading.get_native_id(), threading.Event()

    def clock() -> float:
        return time.monotonic() - queued_seconds(thread)

    def watch() -> None:
        while not stopped.wait(TICK_SECONDS):
            if clock() - ticked > stall_seconds:
                sys.stderr.write(f"event loop blocked for {stall_seconds:g} s, exiting\n")
                os._exit(EX_TEMPFAIL)

    ticked = clock()
    threading.Thread(target=watch, name="watchdog", daemon=True).start()
    try:
        while True:
            ticked = clock()
            await asyncio.sleep(TICK_SECONDS)
    finally:
        stopped.set()


def queued_seconds(thread: int) -> float:
    """Return how long a thread was ready to run without a processor; 0 if the kernel does not say.

    Source: the kernel's Documentation/scheduler/sched-stats.rst.
    """
    try:
        _, queued, _ = Path(f"/proc/self/task/{thread}/schedstat").read_text().split()
    except FileNotFoundError:
        return 0.0
    return int(queued) / 1e9
