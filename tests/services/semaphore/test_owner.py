"""What the program says that `make up` asks before it starts anything."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from temporalio.client import Client

from services.semaphore.owner import owner, semaphore_stack
from shared.result_line import AWAY
from shared.semaphore.state import MEMO_STACK
from tests.fixtures.eventually import eventually
from tests.fixtures.processes import free_port
from tests.fixtures.temporal import NewClient
from tests.shared.semaphore.standins import Jobs, semaphore_of, stack_of

KEY = "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVoxMjM0NTY="
Said = Callable[[Client], Awaitable[Any]]


async def is_named(client: Client, stack: str) -> None:
    """Return when the semaphore that runs is that stack's."""
    await eventually(lambda: semaphore_stack(client), lambda name: name == stack)


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Said:
    """What it says of a client's namespace, without a key."""

    async def say(client: Client) -> Any:
        monkeypatch.setenv("TEMPORAL_ADDRESS", client.service_client.config.target_host)
        monkeypatch.setenv("TEMPORAL_NAMESPACE", client.namespace)
        assert await asyncio.to_thread(owner) == 0
        return json.loads(capsys.readouterr().out.splitlines()[-1])

    return say


async def test_namespace_is_free_until_a_named_semaphore_runs(said: Said, client: Client) -> None:
    assert await said(client) == {"namespace": client.namespace, "stack": ""}
    async with stack_of(client, "one"):
        await is_named(client, "one")
        assert await said(client) == {"namespace": client.namespace, "stack": "one"}


async def test_unreadable_name_is_reported(said: Said, new_client: NewClient) -> None:
    theirs = await new_client(KEY)
    async with stack_of(theirs, "one"):
        await is_named(theirs, "one")
        found = await said(theirs)
    assert "stack" not in found
    assert "PAYLOAD_KEY holds: none" in found["unreadable"]


def test_unreachable_server_has_its_own_status(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", f"127.0.0.1:{free_port()}")
    assert owner() == AWAY


def test_missing_namespace_fails_with_the_reason(
    temporal_address: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", temporal_address)
    monkeypatch.setenv("TEMPORAL_NAMESPACE", "nowhere")
    assert owner() not in (0, AWAY)
    assert "nowhere is not found" in capsys.readouterr().err


async def one_job(jobs: Jobs, name: str) -> None:
    await jobs.start(name)
    await jobs.book.has_entered(name)
    await jobs.finish(name)


async def test_terminated_semaphore_leaves_no_owner(jobs: Jobs) -> None:
    async with semaphore_of(jobs.client, "one"):
        await is_named(jobs.client, "one")
    await jobs.semaphore.terminate()
    async with semaphore_of(jobs.client, "two"):
        await is_named(jobs.client, "two")


async def test_changed_limit_and_next_run_keep_the_name(jobs: Jobs) -> None:
    async with semaphore_of(jobs.client, "one", max_history=25):
        await is_named(jobs.client, "one")
        first = await jobs.run()
        await jobs.change(limit=2)
        assert await semaphore_stack(jobs.client) == "one"
        for n in range(6):
            await one_job(jobs, f"job-{n}")
        await jobs.another_run(first)
    # Stopped, the run may not have come to write its own memo.
    assert await semaphore_stack(jobs.client) == "one"
    history = await jobs.semaphore.fetch_history()
    begun = history.events[0].workflow_execution_started_event_attributes
    assert begun.continued_execution_run_id
    assert begun.memo.fields[MEMO_STACK].data == b'"one"'
