"""`python -m services.keeper.replay_open`: what the open keepers did against the code as it is."""

import sys

from temporalio.client import Client

from services.keeper.workflows import SlotKeeperWorkflow
from shared.process_exit import run_and_exit
from shared.replaying import Open, replay_open
from shared.slots import KEEPER_WORKFLOW, RunRef

OPEN = f"WorkflowType = '{KEEPER_WORKFLOW}' AND ExecutionStatus = 'Running'"


async def open_keepers(client: Client) -> Open:
    """All of them: there is one for each gate."""
    keepers = [keeper async for keeper in client.list_workflows(OPEN)]
    return Open(len(keepers), [RunRef(job_id=each.id, run_id=each.run_id) for each in keepers])


if __name__ == "__main__":
    run_and_exit(lambda: sys.exit(replay_open(SlotKeeperWorkflow, open_keepers)))
