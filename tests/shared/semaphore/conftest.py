"""A running semaphore and a worker of stand-in jobs, in a namespace of each test's own."""

from collections.abc import AsyncIterator

import pytest
from temporalio.client import Client

from services.semaphore.worker import running_semaphore
from shared.semaphore import rebuild, watchdog
from shared.semaphore.state import SemaphoreRules
from tests.shared.semaphore.standins import Book, Jobs


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rebuild, "LISTING_PAUSE_SECONDS", 0.05)
    monkeypatch.setattr(watchdog, "PAUSE_SECONDS", 0.1)


@pytest.fixture
async def jobs(client: Client) -> AsyncIterator[Jobs]:
    """Stand-in jobs without a semaphore's process."""
    jobs = Jobs(client, Book())
    async with jobs.worker():
        yield jobs


@pytest.fixture
def rules() -> SemaphoreRules:
    """The semaphore's rules; a module or class may have others."""
    return SemaphoreRules()


@pytest.fixture
async def kept(jobs: Jobs, rules: SemaphoreRules) -> AsyncIterator[Jobs]:
    """Stand-in jobs and a semaphore that has looked round."""
    async with running_semaphore(jobs.client, rules=rules, shutdown_seconds=0):
        await jobs.until(lambda view: True)
        await jobs.change(limit=1)
        yield jobs
