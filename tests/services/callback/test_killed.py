"""SIGKILL at every line between a callback's arrival and its answer; the next delivery counts."""

import asyncio
import contextlib
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
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


@pytest.fixture
async def mortuary(client: Client, tmp_path: Path) -> AsyncIterator[Process]:
    """Makes receivers that die at a given line."""
    environment = {
        "DATA_DIR": str(tmp_path),
        "CALLBACK_SECRET": SECRET,
        "TEMPORAL_ADDRESS": client.service_client.config.target_host,
        "TEMPORAL_NAMESPACE": client.namespace,
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.services.callback.receiver_that_dies"),
        env={**os.environ, **environment},
        stdin=PIPE,
        stdout=PIPE,
        # Its last receiver, which lives, goes with it.
        process_group=0,
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


async def said(mortuary: Process) -> int:
    assert mortuary.stdout is not None
    return int(await mortuary.stdout.readline())


async def sent(mortuary: Process, vendor: Vendor, *, line: int) -> httpx.Response | None:
    """What the vendor hears of a receiver that dies at this line; None: nothing."""
    assert mortuary.stdin is not None
    mortuary.stdin.write(f"{line}\n".encode())
    async with http_client(f"http://127.0.0.1:{await said(mortuary)}") as http:
        try:
            return await http.post(vendor.address(), json=vendor.body())
        except httpx.TransportError:
            assert await said(mortuary) == signal.SIGKILL
            return None


async def after(client: Client, vendor: Vendor) -> tuple[list[Receipt], Fate]:
    """The receipts as the next receiver finds them, and the fate of the vendor's next try."""
    callback = Reported(task_id="task-1", task_status=TaskStatus.SUCCEED, updated_at=1000)
    receiver = Receiver(Folder(vendor.data_dir), client, SECRET)
    found = receiver.receipts.of_job(vendor.job_id)
    return found, await receiver.receive(f"{vendor.job_id}.video.1", callback)


@pytest.mark.timeout(600)
async def test_receiver_killed_at_any_line(
    mortuary: Process, client: Client, tmp_path: Path
) -> None:
    line, answer = 0, None
    seen: list[list[bool]] = []
    async with http_client() as nowhere:
        while answer is None:
            line += 1
            vendor = Vendor(nowhere, new_job_id(), tmp_path)
            vendor.record()
            await start_job(client, vendor.job_id)
            answer = await sent(mortuary, vendor, line=line)
            if answer is not None:
                os.killpg(mortuary.pid, signal.SIGKILL)
            found, fate = await after(client, vendor)
            decided = [each.decided for each in found]
            if not seen or seen[-1] != decided:
                seen.append(decided)
            # Whether it was applied or is a duplicate of what was just begun, the job has heard.
            assert fate in (Fate.APPLIED, Fate.DUPLICATE)
            heard = await told(client, vendor.job_id)
            assert {each.task_status for each in heard} == {"succeed"}
            assert len(heard) <= 2

    # Kept from some line on, decided from another one on, and never less than before.
    assert seen == [[], [False], [True]]
    assert line > 30
    # Killed as soon as it has answered, too.
    assert answer.json() == {"fate": "applied"}
    assert ([each.fate for each in found], fate) == (["applied"], Fate.DUPLICATE)
    assert len(heard) == 1
