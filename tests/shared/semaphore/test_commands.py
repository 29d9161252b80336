"""`python -m temporal_semaphore`: what it answers, and by which exit status."""

import asyncio
import sys

import pytest
from temporalio.client import Client
from temporalio.service import RPCError

from shared.semaphore.messages import semaphore_id
from tests.fixtures.temporal import Server
from tests.shared.semaphore.test_clock import FOLDERS

ROOT = FOLDERS[0].parents[1]


async def said(*words: str) -> tuple[int, str]:
    """The exit status, and all that was said."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "shared.semaphore", *words),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    text, _ = await process.communicate()
    return process.returncode or 0, text.decode()


@pytest.mark.parametrize(
    "words",
    [
        ("limit", "pool", "0"),
        ("limit", "pool", "1001"),
        ("limit", "pool", "-1"),
        ("limit", "pool", "two"),
        ("limit", "", "1"),
        ("pause", "a'b"),
        ("show", "x" * 201),
        ("free", "pool", ""),
        ("serve", "pool", "a'b"),
    ],
)
async def test_what_is_out_of_bounds_is_wrong_usage_and_starts_nothing(
    client: Client, temporal_server: Server, words: tuple[str, ...]
) -> None:
    to = ("--address", temporal_server.address, "--namespace", client.namespace)
    status, text = await said(*to, *words)
    assert (status, "Traceback" in text) == (2, False), text
    with pytest.raises(RPCError):
        await client.get_workflow_handle(semaphore_id("pool")).describe()


@pytest.mark.parametrize("address", ["127.0.0.1:1", "a b:1"])
async def test_an_address_where_nothing_answers(address: str) -> None:
    status, text = await said("--address", address, "show", "pool")
    assert (status, "Traceback" in text) == (3, False), text
