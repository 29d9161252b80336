"""That a semaphore is always running, and knows every job that waits."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta

import structlog
from temporalio.api.enums.v1 import EventType, WorkflowTaskFailedCause
from temporalio.client import (
    Client,
    WorkflowExecution,
    WorkflowFailureError,
    WorkflowQueryFailedError,
)
from temporalio.service import RPCError

from services.semaphore.models import SemaphoreRules
from services.semaphore.rebuilding.rebuild import OPEN, look_at
from shared.slot.messages import (
    AWAITED_QUERY,
    JOB_GATE,
    OVERDUE_QUERY,
    REQUEST_SIGNAL,
    SKIP_SIGNAL,
    UNKNOWN_QUERY,
    Gate,
    RunRef,
    SlotRequest,
    semaphore_id,
)
from shared.slot.semaphores import start_semaphore
from shared.slot.watching import is_gone
from shared.temporal.client import GENVIDEO_WORKFLOW, QUERY_TIMEOUT

log = structlog.get_logger(__name__)

# A semaphore that was ended by hand is back after this at the latest, also when nobody asks.
PAUSE_SECONDS = 1.0
# Jobs that nobody knows are looked for among those that are open for as long.
OPEN_SECONDS = 60.0
# So many run ids make some 40 kB of a query.
AT_ONCE = 1000
REFUSED = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_BAD_UPDATE_WORKFLOW_EXECUTION_MESSAGE
TAKEN = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
UNFIT = "It can't be replayed, and the server refuses its failure."
OUTLIVED = "It outlived its own limit and its clean-up's: its code must have failed."


async def watch_over(
    client: Client,
    task_queue: str,
    *,
    rules: SemaphoreRules,
    watches: Callable[[Gate], bool],
    gates: Iterable[Gate] = tuple(Gate),
) -> None:
    """Start each gate's semaphore where there is none, and tell it what only time tells: who has
    kept a free place waiting, who was forgotten, who has held for too long.

    `watches`: whether anybody is watched at a gate; where nobody is, nobody is next and nobody
    holds, and nothing is asked. A semaphore that does not answer keeps no other one from being
    looked after.
    """
    gates = tuple(gates)
    running = (_keep_running(client, gate, task_queue) for gate in gates)
    tasks = [asyncio.create_task(each) for each in (*running, _care(client, rules, watches, gates))]
    try:
        await asyncio.gather(*tasks)
    finally:
        for each in tasks:
            each.cancel()


async def _keep_running(client: Client, gate: Gate, task_queue: str) -> None:
    """Start the gate's semaphore whenever there is none; its end is learnt by long poll."""
    while True:
        with _told(gate):
            await start_semaphore(client, gate, task_queue=task_queue)
            with suppress(WorkflowFailureError):
                await client.get_workflow_handle(semaphore_id(gate)).result()
        await asyncio.sleep(PAUSE_SECONDS)


async def _care(
    client: Client,
    rules: SemaphoreRules,
    watches: Callable[[Gate], bool],
    gates: Iterable[Gate],
) -> None:
    times = rules.pace.times
    looked_at = time.monotonic()
    silences = {gate: Silence(rules.ask_patience) for gate in gates}
    while True:
        await asyncio.sleep(times.care.total_seconds())
        looks = time.monotonic() - looked_at >= times.look.total_seconds()
        for gate in filter(watches, silences):
            with _told(gate):
                await pass_over(client, gate, silences[gate])
                if looks:
                    await end_overdue(client, gate)
        if looks:
            looked_at = time.monotonic()
            for gate in gates:
                with _told(gate):
                    await end_refused(client, gate)
            with _told(JOB_GATE):
                await remind(client)


@contextmanager
def _told(gate: Gate) -> Iterator[None]:
    """What can't be done now is done the next time."""
    try:
        yield
    except (RPCError, WorkflowQueryFailedError) as error:
        log.warning("a semaphore could not be looked after", gate=gate, reason=str(error))


class Silence:
    """For how long each run has kept a free place waiting, by our own clock."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._since: dict[str, float] = {}

    def too_long(self, awaited: Iterable[str]) -> list[str]:
        """Those of the awaited that have been so, whenever we looked, for all of the patience."""
        now = time.monotonic()
        self._since = {run_id: self._since.get(run_id, now) for run_id in awaited}
        return [run for run, since in self._since.items() if now - since >= self._patience]


async def pass_over(client: Client, gate: Gate, silence: Silence) -> None:
    """Who is next, and does not ask for a free place, is passed over until it does.

    Its worker is dead, or its code fails; it stays in the queue.
    """
    semaphore = client.get_workflow_handle(semaphore_id(gate))
    awaited = await semaphore.query(AWAITED_QUERY, result_type=list[str], rpc_timeout=QUERY_TIMEOUT)
    if silent := silence.too_long(awaited):
        log.warning("passed over, for they do not ask", gate=gate, run_ids=silent)
        await semaphore.signal(SKIP_SIGNAL, silent)


async def remind(client: Client, *, open_for: float = OPEN_SECONDS) -> int:
    """Have the semaphore hear of open jobs that it doesn't know; how many there were.

    The lists from which a semaphore rebuilds are eventually consistent, and may lack one.
    """
    semaphore = client.get_workflow_handle(semaphore_id(JOB_GATE))
    found = 0
    async for jobs in _open_jobs(client, open_for):
        unknown = await semaphore.query(
            UNKNOWN_QUERY, list(jobs), result_type=list[str], rpc_timeout=QUERY_TIMEOUT
        )
        requests = [await _request(client, jobs[run_id]) for run_id in unknown]
        forgotten = [request for request in requests if request is not None]
        if forgotten:
            log.warning("jobs that nobody knew", job_ids=[each.job_id for each in forgotten])
            await semaphore.signal(REQUEST_SIGNAL, forgotten)
        found += len(forgotten)
    return found


async def end_overdue(client: Client, gate: Gate, *, now: datetime | None = None) -> list[RunRef]:
    """End the holders that outlived their own limits: their code must have failed.

    They are cleared like any other that was ended from outside.
    """
    semaphore = client.get_workflow_handle(semaphore_id(gate))
    overdue: list[RunRef] = await semaphore.query(
        OVERDUE_QUERY,
        now or datetime.now(UTC),
        result_type=list[RunRef],
        rpc_timeout=QUERY_TIMEOUT,
    )
    for run in overdue:
        log.error("a holder outlived its limit and is ended", job_id=run.job_id)
        with _unless_gone():
            handle = client.get_workflow_handle(run.job_id, run_id=run.run_id)
            await handle.terminate(reason=OUTLIVED)
    return overdue


@contextmanager
def _unless_gone() -> Iterator[None]:
    """Whoever has ended meanwhile need not be ended."""
    try:
        yield
    except RPCError as error:
        if not is_gone(error):
            raise


async def end_refused(client: Client, gate: Gate) -> bool:
    """End a semaphore that can't even fail, for the next one to rebuild; says whether it did.

    One that can't be replayed fails. Where an update is part of what it has replayed, the core says
    yes to that once more with the failure, and the server refuses both, each time anew.
    """
    workflow_id, refused = semaphore_id(gate), 0
    run_id = (await client.get_workflow_handle(workflow_id).describe()).run_id
    semaphore = client.get_workflow_handle(workflow_id, run_id=run_id)
    async for event in semaphore.fetch_history_events():
        if event.event_type == TAKEN:
            refused = 0
        elif event.workflow_task_failed_event_attributes.cause == REFUSED:
            refused += 1
    if refused < 2:
        return False
    log.error("a semaphore can't be replayed and is ended", gate=gate, run_id=run_id)
    with _unless_gone():
        await semaphore.terminate(reason=UNFIT)
    return True


async def _open_jobs(
    client: Client, open_for: float
) -> AsyncIterator[dict[str, WorkflowExecution]]:
    """Open jobs by run, in pages; one that has only just begun will ask by itself."""
    before = datetime.now(UTC) - timedelta(seconds=open_for)
    since = f"StartTime < '{before.isoformat()}'"
    page: dict[str, WorkflowExecution] = {}
    async for job in client.list_workflows(
        f"WorkflowType = '{GENVIDEO_WORKFLOW}' AND {OPEN} AND {since}"
    ):
        page[job.run_id] = job
        if len(page) == AT_ONCE:
            yield page
            page = {}
    if page:
        yield page


async def _request(client: Client, job: WorkflowExecution) -> SlotRequest | None:
    seen = await look_at(client, job, gate=JOB_GATE)
    return seen.request if seen is not None and seen.open and seen.asking else None
