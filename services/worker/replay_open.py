"""`python -m services.worker.replay_open`: replay the histories of open jobs with the present code.

It takes all that have begun, and an even sample of those that only wait, which are alike and may be
many.
"""

import sys
from collections.abc import Sequence

from temporalio.client import Client, WorkflowExecution
from temporalio.service import RPCError

from services.worker.workflows import GenVideoWorkflow
from shared.errors import TemporalUnavailable
from shared.jobs.genvideo import GENVIDEO
from shared.jobs.slots import JOB_GATE
from shared.process_exit import run_and_exit
from shared.replay.replaying import Open, replay_open
from shared.semaphore.messages import VIEW_QUERY, RunRef, SlotView, semaphore_id
from shared.temporal.client import CUSTOM_PROGRESS, QUERY_TIMEOUT, answer

# At most so many waiting jobs.
SAMPLE = 200
OPEN = f"WorkflowType = '{GENVIDEO.workflow}' AND ExecutionStatus = 'Running'"


async def open_jobs(client: Client) -> Open:
    """Return the runs to replay, out of all open ones."""
    jobs = [job async for job in client.list_workflows(OPEN)]
    begun: set[str] = set()
    if len(jobs) > SAMPLE:
        # Jobs with progress, and holders of the slot.
        query = f"{OPEN} AND {CUSTOM_PROGRESS.name} > 0"
        begun = {job.id async for job in client.list_workflows(query)} | await _holders(client)
    chosen = choose(jobs, begun)
    return Open(len(jobs), [RunRef(job_id=job.id, run_id=job.run_id) for job in chosen])


def choose(jobs: Sequence[WorkflowExecution], begun: set[str]) -> list[WorkflowExecution]:
    """Return the jobs that have begun, and an even sample of the others."""
    waiting = [job for job in jobs if job.id not in begun]
    step = max(1, -(-len(waiting) // SAMPLE))
    return [job for job in jobs if job.id in begun] + waiting[::step]


async def _holders(client: Client) -> set[str]:
    """Return the holders; none if the semaphore does not answer."""
    view = client.get_workflow_handle(semaphore_id(JOB_GATE)).query(
        VIEW_QUERY, result_type=SlotView, rpc_timeout=QUERY_TIMEOUT
    )
    try:
        seen = await answer(view, seconds=QUERY_TIMEOUT.total_seconds())
    except (RPCError, TemporalUnavailable):
        return set()
    return {holder.job_id for holder in seen.holders}


if __name__ == "__main__":
    run_and_exit(lambda: sys.exit(replay_open(GenVideoWorkflow, open_jobs)))
