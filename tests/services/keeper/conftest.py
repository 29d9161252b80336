"""A running keeper and a worker of stand-in jobs, in a namespace of each test's own."""

from collections.abc import AsyncIterator

import pytest
from temporalio.client import Client

from services.keeper import care, rebuild
from services.keeper.models import KeeperRules
from services.keeper.worker import running_keeper
from tests.services.keeper.standins import Book, Jobs


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rebuild, "LISTING_PAUSE_SECONDS", 0.05)
    monkeypatch.setattr(care, "CARE_SECONDS", 0.1)


@pytest.fixture
async def jobs(client: Client) -> AsyncIterator[Jobs]:
    """Stand-in jobs without a keeper's process."""
    jobs = Jobs(client, Book(client))
    async with jobs.worker():
        yield jobs


@pytest.fixture
def rules() -> KeeperRules:
    """The keeper's rules; a module or class may have others."""
    return KeeperRules()


@pytest.fixture
async def kept(jobs: Jobs, rules: KeeperRules) -> AsyncIterator[Jobs]:
    """Stand-in jobs and a keeper."""
    async with running_keeper(jobs.client, rules=rules, shutdown_seconds=0):
        await jobs.until(lambda view: True)
        yield jobs
