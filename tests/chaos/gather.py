"""Fetches the books of a run when all is over; what can't be read is said, and is a violation."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from pathlib import Path

from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import RPCError
from temporalio.worker import Replayer

from loadtest.books import raw
from loadtest.books.raw import RunFolder
from services.semaphore.workflows import SemaphoreWorkflow
from services.worker.workflows import GenVideoWorkflow
from shared.jobs.messages import Record
from shared.slot.messages import JOB_GATE, semaphore_id
from shared.temporal.client import GET_RECORD_QUERY, QUERY_TIMEOUT
from shared.temporal.sandbox import WorkflowRunner
from shared.temporal.unfit import UnfitPassedOver

# A busy machine may need more than one; the pause is for workers that come back just now.
QUERY_TRIES = 10
QUERY_PAUSE = 0.5
AT_ONCE = 8


async def semaphore_histories(client: Client, folder: RunFolder) -> int:
    """Keep the history of every run of the semaphore beside those of the jobs; how many."""
    name, count = semaphore_id(JOB_GATE), 0
    async for run in client.list_workflows(f"WorkflowId = '{name}'"):
        handle = client.get_workflow_handle(name, run_id=run.run_id)
        history = await handle.fetch_history()
        target = folder.histories / f"{name}.{run.run_id}.json"
        await asyncio.to_thread(target.write_text, history.to_json(), encoding="utf-8")
        count += 1
    return count


async def versions(client: Client, jobs: Iterable[str]) -> tuple[dict[str, int], list[str]]:
    """Each workflow's own word on its record's version, and whose could not be heard.

    A run that was ended before its first task was done has none to give, nor has one that was
    reset, whose replay deviates on purpose, that was started again, or that was deleted.
    """
    gate = asyncio.Semaphore(AT_ONCE)
    found: dict[str, int] = {}
    unheard: list[str] = []

    async def ask(job_id: str) -> None:
        async with gate:
            if not await _is_only_run(client, job_id):
                return
            version = await _version(client, job_id)
            if version is None and not await _has_begun(client, job_id):
                return
        if version is None:
            unheard.append(f"workflow {job_id} answers no query")
        else:
            found[job_id] = version

    await asyncio.gather(*map(ask, jobs))
    return found, unheard


async def _is_only_run(client: Client, job_id: str) -> bool:
    runs = [run.run_id async for run in client.list_workflows(f"WorkflowId = '{job_id}'")]
    return len(runs) == 1


async def _version(client: Client, job_id: str) -> int | None:
    handle = client.get_workflow_handle(job_id)
    for _ in range(QUERY_TRIES):
        try:
            record: Record = await handle.query(
                GET_RECORD_QUERY, result_type=Record, rpc_timeout=QUERY_TIMEOUT
            )
        except RPCError:
            await asyncio.sleep(QUERY_PAUSE)
            continue
        return record.version
    return None


async def _has_begun(client: Client, job_id: str) -> bool:
    done = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
    history = client.get_workflow_handle(job_id).fetch_history_events()
    return any([event.event_type == done async for event in history])


async def replay(folder: RunFolder) -> None:
    """Lead the current code through every kept history, and note where it goes astray."""
    replayer = Replayer(
        workflows=[GenVideoWorkflow, SemaphoreWorkflow],
        data_converter=pydantic_data_converter,
        interceptors=[UnfitPassedOver()],
        workflow_runner=WorkflowRunner(),
    )
    files = sorted(folder.histories.glob("*.json"))
    replayed, failures = 0, {}
    async with replayer.workflow_replay_iterator(_read(files)) as results:
        async for result in results:
            if result.replay_failure is None:
                replayed += 1
            else:
                failures[result.history.workflow_id] = str(result.replay_failure)[:500]
    found = {"replayed": replayed, "kept": len(files), "failures": failures}
    folder.write(raw.REPLAY, found)


async def _read(files: Sequence[Path]) -> AsyncIterator[WorkflowHistory]:
    for file in files:
        text = await asyncio.to_thread(file.read_text, encoding="utf-8")
        yield WorkflowHistory.from_json(file.name.split(".")[0], text)
