"""Who is next goes before the newcomers: its tasks overtake theirs in the queue of the workers.

A task of a job may land in the queue that all workers share: the worker that knows the job is slow,
or gone, or a callback came between. In a flood it would wait there behind each new job's first
task, and the slot with it.
"""

import structlog
from google.protobuf.field_mask_pb2 import FieldMask
from temporalio.api.common.v1 import Priority, WorkflowExecution
from temporalio.api.workflow.v1 import WorkflowExecutionOptions
from temporalio.api.workflowservice.v1 import UpdateWorkflowExecutionOptionsRequest
from temporalio.client import Client
from temporalio.service import RPCError

from shared.slot.messages import RunRef

log = structlog.get_logger(__name__)

# The server's scale is from 1, the first, to 5; what says nothing has 3.
FIRST = 1


async def put_first(client: Client, run: RunRef) -> None:
    """Give a run's tasks precedence, from the next one on.

    A server that can't, or a run that is gone, changes nothing: precedence saves time alone.
    """
    request = UpdateWorkflowExecutionOptionsRequest(
        namespace=client.namespace,
        workflow_execution=WorkflowExecution(workflow_id=run.job_id, run_id=run.run_id),
        workflow_execution_options=WorkflowExecutionOptions(priority=Priority(priority_key=FIRST)),
        update_mask=FieldMask(paths=["priority"]),
    )
    try:
        await client.workflow_service.update_workflow_execution_options(request)
    except RPCError as error:
        log.info("no precedence", job_id=run.job_id, error=error.message)
