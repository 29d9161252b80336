"""A running semaphore and a worker of stand-in jobs, in a namespace of each test's own."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest
from temporalio.client import Client
from temporalio.worker import Worker

from services.semaphore import watchdog
from services.semaphore.models import SemaphoreRules
from services.semaphore.rebuilding import rebuild
from services.semaphore.worker import running_semaphore
from services.worker.acting.interceptor import JobInterceptor
from shared.temporal import pace
from shared.temporal.client import GENVIDEO_QUEUE
from shared.temporal.pace import Pace
from tests.services.semaphore.passers import Passer, Passers
from tests.services.semaphore.standins import Book, Jobs


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rebuild, "LISTING_PAUSE_SECONDS", 0.05)
    monkeypatch.setattr(watchdog, "PAUSE_SECONDS", 0.1)


@pytest.fixture
def quick_care(monkeypatch: pytest.MonkeyPatch) -> None:
    """The semaphores are asked again and again who is silent, which is no small work for them."""
    quick = replace(Pace.FAST.times, care=timedelta(seconds=0.1))
    monkeypatch.setitem(pace._TIMES, Pace.FAST, quick)


@pytest.fixture
async def jobs(client: Client) -> AsyncIterator[Jobs]:
    """Stand-in jobs without a semaphore's process."""
    jobs = Jobs(client, Book(client))
    async with jobs.worker():
        yield jobs


@pytest.fixture
def rules() -> SemaphoreRules:
    """The semaphore's rules; a module or class may have others."""
    return SemaphoreRules()


@pytest.fixture
async def kept(jobs: Jobs, rules: SemaphoreRules) -> AsyncIterator[Jobs]:
    """Stand-in jobs and a semaphore."""
    async with running_semaphore(jobs.client, rules=rules, shutdown_seconds=0):
        await jobs.until(lambda view: True)
        yield jobs


@pytest.fixture
async def passers(client: Client) -> AsyncIterator[Passers]:
    """Without a semaphore's process."""
    book = Book(client)
    async with Worker(
        client,
        task_queue=GENVIDEO_QUEUE,
        workflows=[Passer],
        activities=[book.hold, book.enter, book.leave, book.drain],
        interceptors=[JobInterceptor()],
        max_heartbeat_throttle_interval=timedelta(milliseconds=100),
    ):
        yield Passers(client, book)
