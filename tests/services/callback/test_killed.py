"""SIGKILL at every line between a callback's arrival and its answer; the next delivery counts."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from temporalio.client import Client

from services.callback.models import Fate, Receipt
from services.callback.receiver import Receiver
from shared.http.client import http_client
from shared.jobs.ids import new_job_id
from shared.pipeline.callbacks import Reported, TaskStatus
from shared.store.folder import Folder
from tests.services.callback.conftest import SECRET, Vendor, start_job, told

pytestmark = pytest.mark.usefixtures("jobs")
NEVER = 0


class Mortuary:
    """Makes receivers that die at a given line."""

    def __init__(self, process: asyncio.subprocess.Process, client: Client) -> None:
        self.process = process
        self.client = client

    async def send(self, vendor: Vendor, *, line: int) -> httpx.Response | None:
        """What the vendor hears of a receiver that dies at this line; None: nothing."""
        environment = {
            "DATA_DIR": str(vendor.data_dir),
            "CALLBACK_SECRET": SECRET,
            "TEMPORAL_ADDRESS": self.client.service_client.config.target_host,
            "TEMPORAL_NAMESPACE": self.client.namespace,
        }
        port = await self._command({"line": line, "environment": environment})
        async with http_client(f"http://127.0.0.1:{port}") as http:
            try:
                return await http.post(vendor.address(), json=vendor.body())
            except httpx.TransportError:
                assert int(await self._line()) == signal.SIGKILL
                return None

    async def _command(self, command: dict[str, object]) -> str:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(command).encode() + b"\n")
        return await self._line()

    async def _line(self) -> str:
        assert self.process.stdout is not None
        return (await self.process.stdout.readline()).decode().strip()


async def end(process: asyncio.subprocess.Process) -> None:
    """SIGKILL for the program and its receiver."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()


@pytest.fixture
async def mortuary(client: Client) -> AsyncIterator[Mortuary]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.services.callback.receiver_that_dies"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        # Its last receiver, which lives, goes with it.
        process_group=0,
    )
    try:
        yield Mortuary(process, client)
    finally:
        await end(process)


async def after(client: Client, vendor: Vendor) -> tuple[list[Receipt], Fate]:
    """The receipts as the next receiver finds them, and the fate of the vendor's next try."""
    callback = Reported(task_id="task-1", task_status=TaskStatus.SUCCEED, updated_at=1000)
    receiver = Receiver(Folder(vendor.data_dir), client, SECRET)
    found = receiver.receipts.of_job(vendor.job_id)
    return found, await receiver.receive(f"{vendor.job_id}.video.1", callback)


@pytest.mark.timeout(600)
async def test_killed_at_any_line(mortuary: Mortuary, client: Client, tmp_path: Path) -> None:
    line = 0
    seen: list[list[bool]] = []
    async with http_client() as nowhere:
        while True:
            line += 1
            vendor = Vendor(nowhere, new_job_id(), tmp_path / str(line))
            vendor.record()
            await start_job(client, vendor.job_id)
            answer = await mortuary.send(vendor, line=line)
            if answer is not None:
                break
            found, fate = await after(client, vendor)
            decided = [each.decided for each in found]
            if not seen or seen[-1] != decided:
                seen.append(decided)
            # Whether it was applied or is a duplicate of what was just begun, the job has heard.
            assert fate in (Fate.APPLIED, Fate.DUPLICATE)
            heard = await told(client, vendor.job_id)
            assert {each.task_status for each in heard} == {"succeed"}
            assert len(heard) <= 2

    assert answer.json() == {"fate": "applied"}
    # Kept from some line on, decided from another one on, and never less than before.
    assert seen == [[], [False], [True]]
    assert line > 30


async def test_killed_as_soon_as_it_has_answered(
    mortuary: Mortuary, client: Client, tmp_path: Path
) -> None:
    async with http_client() as nowhere:
        vendor = Vendor(nowhere, new_job_id(), tmp_path)
        vendor.record()
        await start_job(client, vendor.job_id)
        answer = await mortuary.send(vendor, line=NEVER)
        await end(mortuary.process)
        assert answer is not None
        assert answer.json() == {"fate": "applied"}

        found, fate = await after(client, vendor)

    assert [each.fate for each in found] == ["applied"]
    assert fate is Fate.DUPLICATE
    assert len(await told(client, vendor.job_id)) == 1
