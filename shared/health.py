"""Health of a process that polls Temporal: an HTTP port, and a watchdog that ends a stalled one."""

import asyncio
import os
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta

import stamina
from fastapi import FastAPI
from temporalio.client import Client
from temporalio.service import RPCError

from shared.temporal import connect
from shared.web import service_app

EX_TEMPFAIL = 75
TICK_SECONDS = 0.5
CONNECT_WAIT_MAX_SECONDS = 2.0

# What runs while the process is up, given a connected client.
Body = Callable[[Client], AbstractAsyncContextManager[object]]


def worker_app(title: str, *, stall_seconds: float, body: Body) -> FastAPI:
    """`/healthz`, `/readyz`, `/metrics` around a worker that runs as long as the app does."""
    clients: list[Client] = []

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        dog = asyncio.create_task(watchdog(stall_seconds))
        client = await connect_when_up()
        clients.append(client)
        async with body(client):
            yield
        dog.cancel()

    async def ready() -> Mapping[str, str | None]:
        return {"temporal": await temporal_reason(clients[0])}

    return service_app(title, ready=ready, lifespan=lifespan)


@stamina.retry(on=RuntimeError, attempts=None, timeout=None, wait_max=CONNECT_WAIT_MAX_SECONDS)
async def connect_when_up() -> Client:
    """A connected client, however long the server takes to come up."""
    return await connect()


async def temporal_reason(client: Client) -> str | None:
    """Why Temporal isn't ready, or None where it answers."""
    try:
        await client.service_client.check_health(timeout=timedelta(seconds=2))
    except (RPCError, RuntimeError) as error:
        return f"does not answer ({error})"
    return None


async def watchdog(stall_seconds: float) -> None:
    """End the process when its event loop stands still for `stall_seconds`.

    The SDK's own threads would go on polling for a loop that never answers; ended, the process
    is started again by its supervisor. Runs until it is cancelled.
    """
    ticked = time.monotonic()
    stopped = threading.Event()

    def watch() -> None:
        while not stopped.wait(TICK_SECONDS):
            if time.monotonic() - ticked > stall_seconds:
                sys.stderr.write(f"the event loop stood still for {stall_seconds:g} s, exiting\n")
                os._exit(EX_TEMPFAIL)

    threading.Thread(target=watch, name="watchdog", daemon=True).start()
    try:
        while True:
            ticked = time.monotonic()
            await asyncio.sleep(TICK_SECONDS)
    finally:
        stopped.set()
