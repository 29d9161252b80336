"""The build as it is, and builds that are wrong on purpose: each by one change, made from here."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

import pytest
from fastapi import FastAPI
from temporalio.client import Client
from temporalio.worker import Worker

from loadtest.control import naive
from loadtest.control.api import create_app as create_naive_api
from services.api.app import create_app
from services.api.settings import ApiSettings
from services.semaphore import activities as semaphore_activities
from services.semaphore import workflows as semaphore_workflows
from services.semaphore.deterministic import permits, starts
from services.semaphore.worker import running_semaphore
from services.worker.deterministic.ending import Ending
from services.worker.worker import running_worker
from shared.slot.messages import (
    CHANGE_UPDATE,
    JOB_GATE,
    Acquire,
    Closed,
    RunRef,
    SlotChange,
    SlotRequest,
    semaphore_id,
)
from shared.slot.watching import until_closed
from tests.workflow.pipeline import Pipeline

WORKERS = 2
LEASE_SECONDS = 3.0

# Runs the parts of a build; gives its API.
Build = Callable[[Pipeline], AbstractAsyncContextManager[FastAPI]]


@asynccontextmanager
async def ours(line: Pipeline) -> AsyncIterator[FastAPI]:
    """Two workers and a semaphore, as they are or as they were changed."""
    async with AsyncExitStack() as parts:
        await parts.enter_async_context(running_semaphore(line.client, shutdown_seconds=0.1))
        for _ in range(WORKERS):
            client = await _another(line.client)
            await parts.enter_async_context(running_worker(line.settings, client))
        # Answered by a semaphore that has rebuilt: from here on each scene goes the same way.
        semaphore = line.client.get_workflow_handle(semaphore_id(JOB_GATE))
        await semaphore.execute_update(CHANGE_UPDATE, SlotChange(limit=1))
        yield create_app(ApiSettings(data_dir=line.settings.data_dir), line.client)


@asynccontextmanager
async def semaphores(line: Pipeline) -> AsyncIterator[FastAPI]:
    """A semaphore in each worker, and no semaphore."""
    settings, client = line.settings, line.client
    vendors = (settings.image_service_url, settings.video_service_url)
    async with AsyncExitStack() as parts:
        for _ in range(WORKERS):
            calls = await parts.enter_async_context(naive.activities(*vendors, settings.data_dir))
            await parts.enter_async_context(
                Worker(
                    await _another(client),
                    task_queue=naive.QUEUE,
                    workflows=[naive.NaiveWorkflow],
                    activities=[calls.gen_image, calls.request_video],
                )
            )
        yield create_naive_api(client, naive.NaiveRecords(settings.data_dir))


async def _another(client: Client) -> Client:
    """A client as another process has one; two workers of one queue can't share a client."""
    return await Client.connect(
        client.service_client.config.target_host,
        namespace=client.namespace,
        data_converter=client.data_converter,
    )


def without_draining(patch: pytest.MonkeyPatch) -> None:
    """After an end from outside the slot is free at once."""

    async def nothing(*_: object, **__: object) -> None:
        return

    patch.setattr(starts, "drain", nothing)


def without_rebuilding(patch: pytest.MonkeyPatch) -> None:
    """A semaphore that comes back begins with nothing."""

    async def nothing(_: object) -> None:
        return

    patch.setattr(semaphore_workflows.SemaphoreWorkflow, "_rebuild", nothing)


def without_dedupe(patch: pytest.MonkeyPatch) -> None:
    """Each asking counts for itself, also that of a run which waits or holds already."""

    def request(self: permits.Permits, wanted: SlotRequest) -> bool:
        self.queue.add(wanted)
        return True

    def ask(self: permits.Permits, wanted: Acquire) -> None:
        self.request(wanted.request)
        self._asking[wanted.request.run_id] = wanted

    patch.setattr(permits.Permits, "request", request)
    patch.setattr(permits.Permits, "ask", ask)


def with_a_lease(patch: pytest.MonkeyPatch) -> None:
    """Whoever waits for a run's end believes it over after so long."""

    async def lapsing(client: Client, run: RunRef) -> Closed:
        try:
            async with asyncio.timeout(LEASE_SECONDS):
                return await until_closed(client, run)
        except TimeoutError:
            return Closed.ORDERLY

    patch.setattr(semaphore_activities, "until_closed", lapsing)


def with_a_right_to_be_next(patch: pytest.MonkeyPatch) -> None:
    """Whoever is next is answered as soon as it asks, and not when its turn has come."""
    patch.setattr(permits.Permits, "_invited", permits.Permits._deck)


def without_waiting_for_the_vendors(patch: pytest.MonkeyPatch) -> None:
    """A job that is cancelled closes at once, whatever of it still runs at a vendor."""

    async def nothing(*_: object, **__: object) -> None:
        return

    patch.setattr(Ending, "_drain", nothing)
