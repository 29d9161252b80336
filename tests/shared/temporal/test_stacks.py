"""A process of another stack does not poll: it ends with one line, and a status of its own."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from temporalio.client import Client

from shared import health
from shared.errors import AnotherStack
from shared.health import Work
from shared.settings.common import PollingSettings
from shared.temporal import stacks
from shared.temporal.codec import PayloadKeys
from tests.fixtures.processes import free_port
from tests.services.semaphore.test_stacks import is_named
from tests.shared.semaphore.standins import stack_of
from tests.shared.test_health import MODULES, environment


@pytest.mark.parametrize(("module", "port"), MODULES.items())
async def test_second_stack_is_refused_in_one_line(
    module: str, port: str, tmp_path: Path, client: Client
) -> None:
    address = client.service_client.config.target_host
    own = {
        "TEMPORAL_NAMESPACE": client.namespace,
        "STACK": "two",
        port: str(free_port()),
    }
    async with stack_of(client, "one"):
        await is_named(client, "one")
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", module),
            env=environment(tmp_path, address) | own,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        # Before it would look for the second time.
        output, _ = await asyncio.wait_for(process.communicate(), stacks.LOOK_SECONDS - 2)
    assert process.returncode == 2
    assert b"Traceback" not in output
    told = [json.loads(line) for line in output.splitlines() if b'"error"' in line]
    assert len(told) == 1
    assert "STACK=one" in told[0]["event"]


async def test_stacks_that_start_together_find_each_other(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = asyncio.Event()

    @asynccontextmanager
    async def body(_: Client) -> AsyncIterator[None]:
        yield
        left.set()

    async def connected(_: PayloadKeys, **__: object) -> Client:
        return client

    monkeypatch.setattr(stacks, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(health, "connect_when_up", connected)
    alone, second = (
        asyncio.create_task(Work("a test's", body, PollingSettings(stack=name)).run())
        for name in ("", "two")
    )
    async with stack_of(client, "one"):
        with pytest.raises(AnotherStack):
            await asyncio.wait_for(second, 60)
    assert not alone.done()
    alone.cancel()
