"""A worker as a process that kills itself with SIGKILL at one chosen place, or notes them all."""

import asyncio
import multiprocessing
import os
import signal
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import pytest
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from services.worker.results import checker
from services.worker.settings.worker import WorkerSettings
from services.worker.worker import running_worker
from shared.telemetry import logs
from tests.fixtures.eventually import eventually
from tests.workflow import boundaries

# Beside the places of `boundaries`: the server has been told the vendor's id by a heartbeat.
HEARD = "image heartbeat heard"


@dataclass(frozen=True)
class Errand:
    """Whose tasks to take, and where to die; `notes` instead gathers every place that is passed."""

    settings: WorkerSettings
    address: str
    namespace: str
    queue: str
    place: str = ""
    moment: str = ""
    notes: Path | None = None
    opener: tuple[str, ...] = field(default_factory=lambda: checker.COMMAND)


def start(errand: Errand) -> ForkServerProcess:
    """The process; its imports are done once for all of them."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    process = context.Process(target=_main, args=(errand,), daemon=True)
    process.start()
    return process


def _main(errand: Errand) -> None:
    logs.configure(service="worker", level="ERROR", form="json")
    asyncio.run(_work(errand))


async def _work(errand: Errand) -> None:
    client = await Client.connect(
        errand.address, namespace=errand.namespace, data_converter=pydantic_data_converter
    )
    notes = errand.notes.open("a") if errand.notes else None

    def at_once(job_id: str, place: str, moment: str) -> None:
        if notes is not None:
            notes.write(f"{place}, {moment}\n")
            notes.flush()
        elif (place, moment) == (errand.place, errand.moment):
            os.kill(os.getpid(), signal.SIGKILL)

    async def hook(job_id: str, place: str, moment: str) -> None:
        if errand.place == HEARD and place == "image poll":
            await _heard(client, job_id)
            at_once(job_id, errand.place, errand.moment)
        at_once(job_id, place, moment)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checker, "COMMAND", errand.opener)
        boundaries.install(patch, hook, at_once)
        async with running_worker(errand.settings, client, task_queue=errand.queue):
            await asyncio.Event().wait()


async def _heard(client: Client, job_id: str) -> None:
    """Return when the server knows from a heartbeat which generation is ours."""

    async def look() -> bytes:
        description = await client.get_workflow_handle(job_id).describe()
        pending = description.raw_description.pending_activities
        return b"".join(p.data for each in pending for p in each.heartbeat_details.payloads)

    await eventually(look, lambda details: b"vendor_id" in details)
