"""The build as it is, and builds that are wrong on purpose: each by one change, made from here."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

import pytest
from fastapi import FastAPI
from temporalio.client import Client
from temporalio.exceptions import ActivityError
from temporalio.worker import Worker

from loadtest.control import naive
from loadtest.control.api import create_app as create_naive_api
from services.api.app import create_app
from services.api.settings import ApiSettings
from services.semaphore.worker import running_semaphore
from services.worker.worker import running_worker
from shared.jobs.messages import Attempts
from shared.jobs.slots import JOB_GATE
from shared.pipeline.ending import Ending
from shared.pipeline.messages import Kept
from shared.semaphore import activities as semaphore_activities
from shared.semaphore import queue as permits
from shared.semaphore import starts
from shared.semaphore.messages import (
    CHANGE_UPDATE,
    Closed,
    Drained,
    Holder,
    RunRef,
    SlotChange,
    semaphore_id,
)
from shared.semaphore.server import until_closed
from shared.semaphore.state import Ended
from shared.semaphore.workflow import SemaphoreWorkflow
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

    async def cleared(*_: object, **__: object) -> Drained:
        return Drained(cleared=True)

    patch.setattr(starts, "drain", cleared)


def without_rebuilding(patch: pytest.MonkeyPatch) -> None:
    """A semaphore that comes back begins with nothing."""

    async def nothing(_: object) -> None:
        return

    patch.setattr(SemaphoreWorkflow, "_rebuild", nothing)


def without_a_new_watch(patch: pytest.MonkeyPatch) -> None:
    """A watch that was ended by hand is not followed by another one."""

    async def once(self: SemaphoreWorkflow, holder: Holder, handle: starts.Handle) -> None:
        try:
            Ended.model_validate(await handle)
        except ActivityError:
            return
        self._give_back(holder.run.run_id)
        self._decide()

    patch.setattr(SemaphoreWorkflow, "_until_free", once)


def with_a_lease(patch: pytest.MonkeyPatch) -> None:
    """Whoever waits for a run's end believes it over after so long."""

    async def lapsing(client: Client, run: RunRef) -> Closed:
        try:
            async with asyncio.timeout(LEASE_SECONDS):
                return await until_closed(client, run)
        except TimeoutError:
            return Closed.ORDERLY

    patch.setattr(semaphore_activities, "until_closed", lapsing)


def without_a_note_of_the_holder(patch: pytest.MonkeyPatch) -> None:
    """A run that was granted the slot is not held to be a holder, so that the next one is, too."""

    def can_grant(self: permits.Permits) -> bool:
        return len(self.queue) > 0

    patch.setattr(permits.Permits, "can_grant", can_grant)


def without_waiting_for_the_vendors(patch: pytest.MonkeyPatch) -> None:
    """A job that is cancelled closes at once, whatever of it still runs at a vendor."""

    async def nothing(*_: object, **__: object) -> Kept:
        return Kept(attempts=Attempts(image=0, video=0), assets={}, asset_url=None)

    patch.setattr(Ending, "_drained", nothing)
