"""The semaphore's process: its settings, and its namespace."""

import asyncio
import json
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from temporalio.client import Client

from services.semaphore.namespace import ADD, LOOK, MAKE, namespace, semaphore_stack
from services.semaphore.settings import SemaphoreProcessSettings
from shared.result_line import AWAY
from shared.semaphore.state import MEMO_STACK, SemaphoreRules
from shared.settings.common import load
from tests.fixtures.eventually import eventually
from tests.fixtures.processes import free_port
from tests.fixtures.temporal import NewClient
from tests.shared.semaphore.standins import Jobs, semaphore_of, stack_of

Said = Callable[[str], Any]
KEY = "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVoxMjM0NTY="
BOTH = {"CustomProgress": "Int", "CustomTag": "Keyword"}


@pytest.fixture
def said(
    temporal_address: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Said:
    """What it says of a namespace that was not there before."""
    monkeypatch.setenv("TEMPORAL_ADDRESS", temporal_address)
    monkeypatch.setenv("TEMPORAL_NAMESPACE", f"test-{uuid4().hex[:12]}")

    def say(what: str) -> Any:
        assert namespace(what, 2) == 0
        return json.loads(capsys.readouterr().out.splitlines()[-1])

    return say


def test_namespace_is_made_only_on_request(said: Said) -> None:
    for what in (LOOK, ADD):
        found = said(what)
        assert (found["there"], found["missing"], found["done"]) == (False, BOTH, [])
        assert found["wrong"] == f"Temporal has no namespace {found['namespace']}"
    made = said(MAKE)
    assert made["done"] == [
        f"namespace {made['namespace']}",
        "search attribute CustomProgress (Int)",
        "search attribute CustomTag (Keyword)",
    ]
    again = said(LOOK)
    assert (made["wrong"], again["wrong"], again["done"]) == ("", "", [])


def test_unreachable_server_has_its_own_status(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", f"127.0.0.1:{free_port()}")
    assert namespace(LOOK) == AWAY
    assert capsys.readouterr().out == ""


def test_refusal_is_reported_with_its_reason(said: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_TLS", "true")
    assert "speaks no TLS" in said(MAKE)["wrong"]


async def is_named(client: Client, stack: str) -> None:
    """Return when the semaphore that runs is that stack's."""
    await eventually(lambda: semaphore_stack(client), lambda name: name == stack)


@pytest.mark.parametrize("encrypted", [False, True])
async def test_owner_of_the_namespace_is_named(
    said: Said, new_client: NewClient, monkeypatch: pytest.MonkeyPatch, encrypted: bool
) -> None:
    client = await new_client(KEY if encrypted else "")
    monkeypatch.setenv("TEMPORAL_NAMESPACE", client.namespace)
    assert (await asyncio.to_thread(said, LOOK))["stack"] == ""
    async with stack_of(client, "one"):
        await is_named(client, "one")
        found = await asyncio.to_thread(said, LOOK)
    assert found["stack"] == ("" if encrypted else "one")
    assert ("PAYLOAD_KEY holds: none" in found["unreadable"]) is encrypted


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


def test_every_mistake_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = {
        "SEMAPHORE_HTTP_PORT": "0",
        "SEMAPHORE_MAX_HISTORY": "3",
        "SEMAPHORE_CAPACITY": "0",
        "STACK": "My Stack",
        "STALL_SECONDS": "0",
        "LOG_FORMAT": "xml",
    }
    for name, value in wrong.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit):
        load(SemaphoreProcessSettings)
    line = capsys.readouterr().err
    assert all(f"{name}: " in line for name in wrong)


def test_rules_are_those_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEMAPHORE_MAX_HISTORY", "30")
    assert load(SemaphoreProcessSettings).rules() == SemaphoreRules(
        max_history=30, beat_seconds=1.4
    )
