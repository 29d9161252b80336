"""Replay histories with the current workflow code; a run that does not replay would stand still.

A program prints its result as its last line: `{"replayed": n, "failures": {id: why}, …}`.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import NamedTuple

from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowHistory
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import Replayer

from shared.errors import TemporalUnavailable
from shared.result_line import AWAY, CONNECT_SECONDS, print_result
from shared.semaphore.messages import RunRef
from shared.semaphore.runner import WorkflowRunner
from shared.settings.payloads import PayloadSettings
from shared.temporal.client import answer, connect
from shared.temporal.codec import PayloadKeys, data_converter

# How many histories are replayed at a time.
AT_ONCE = 20


class Open(NamedTuple):
    """The runs to replay, out of all open ones."""

    total: int
    runs: Sequence[RunRef]


async def replay(
    histories: AsyncIterator[WorkflowHistory], keys: PayloadKeys, *workflows: type
) -> dict[str, object]:
    """Return `{"replayed": n, "failures": {workflow id: why}}`."""
    replayer = Replayer(
        workflows=workflows,
        data_converter=data_converter(keys),
        workflow_runner=WorkflowRunner(),
    )
    replayed, failures = 0, {}
    async with replayer.workflow_replay_iterator(histories) as results:
        async for result in results:
            replayed += 1
            if result.replay_failure is not None:
                failures[result.history.workflow_id] = str(result.replay_failure)
    return {"replayed": replayed, "failures": failures}


async def histories_of(client: Client, runs: Sequence[RunRef]) -> AsyncIterator[WorkflowHistory]:
    """Yield the histories of existing runs that have begun a step; others can't fail."""
    for place in range(0, len(runs), AT_ONCE):
        some = runs[place : place + AT_ONCE]
        for history in await asyncio.gather(*(_history(client, run) for run in some)):
            if history is not None:
                yield history


async def _history(client: Client, run: RunRef) -> WorkflowHistory | None:
    try:
        history = await client.get_workflow_handle(run.job_id, run_id=run.run_id).fetch_history()
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        return None
    done = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
    return history if any(event.event_type == done for event in history.events) else None


def replay_open(workflow: type, find: Callable[[Client], Awaitable[Open]]) -> int:
    """Replay the open runs that `find` names, and report; exit with AWAY if the server does not
    answer."""

    async def replayed() -> dict[str, object]:
        keys = PayloadSettings().payload_keys
        client = await answer(connect(keys), seconds=CONNECT_SECONDS)
        total, runs = await find(client)
        return {"open": total} | await replay(histories_of(client, runs), keys, workflow)

    try:
        print_result(asyncio.run(replayed()))
    except TemporalUnavailable as error:
        sys.stderr.write(f"{error}\n")
        return AWAY
    return 0
