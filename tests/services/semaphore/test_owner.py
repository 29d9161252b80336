"""What the program says that `make up` asks before it starts anything."""

import asyncio
import json
import os
import sys
from typing import Any

from temporalio.client import Client

from shared.result_line import AWAY
from tests.fixtures.processes import free_port
from tests.fixtures.temporal import NewClient
from tests.services.semaphore.test_stacks import KEY, is_named
from tests.shared.semaphore.standins import stack_of


async def program(address: str, namespace: str = "default") -> tuple[int, str, str]:
    env = {
        "PATH": os.environ["PATH"],
        "TEMPORAL_ADDRESS": address,
        "TEMPORAL_NAMESPACE": namespace,
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.semaphore.owner",
        env=env, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


async def said(client: Client) -> Any:
    status, out, _ = await program(client.service_client.config.target_host, client.namespace)
    assert status == 0
    return json.loads(out.splitlines()[-1])


async def test_a_namespace_is_nobodys_until_a_semaphore_with_a_name_runs(client: Client) -> None:
    assert await said(client) == {"namespace": client.namespace, "stack": ""}
    async with stack_of(client, "one"):
        await is_named(client, "one")
        assert await said(client) == {"namespace": client.namespace, "stack": "one"}


async def test_a_name_that_can_not_be_read_is_said_to_be_so(new_client: NewClient) -> None:
    theirs = await new_client(KEY)
    async with stack_of(theirs, "one"):
        await is_named(theirs, "one")
        found = await said(theirs)
    assert "stack" not in found
    assert "PAYLOAD_KEY holds: none" in found["unreadable"]


async def test_a_server_that_is_away_has_a_status_of_its_own() -> None:
    status, _, _ = await program(f"127.0.0.1:{free_port()}")
    assert status == AWAY


async def test_a_namespace_that_is_not_there_fails_and_says_why(temporal_address: str) -> None:
    status, _, err = await program(temporal_address, "nowhere")
    assert status not in (0, AWAY)
    assert "nowhere is not found" in err.strip().splitlines()[-1]
