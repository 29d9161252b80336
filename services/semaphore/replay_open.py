"""`python -m services.semaphore.replay_open`: replay the open semaphores with this code."""

import sys

from temporalio.client import Client

from shared.process_exit import run_and_exit
from shared.replay.replaying import Open, replay_open
from shared.semaphore.messages import SEMAPHORE_WORKFLOW, RunRef
from shared.semaphore.workflow import SemaphoreWorkflow

OPEN = f"WorkflowType = '{SEMAPHORE_WORKFLOW}' AND ExecutionStatus = 'Running'"


async def open_semaphores(client: Client) -> Open:
    """Return all of them; there is one for each gate."""
    semaphores = [semaphore async for semaphore in client.list_workflows(OPEN)]
    return Open(
        len(semaphores), [RunRef(job_id=each.id, run_id=each.run_id) for each in semaphores]
    )


if __name__ == "__main__":
    run_and_exit(lambda: sys.exit(replay_open(SemaphoreWorkflow, open_semaphores)))
