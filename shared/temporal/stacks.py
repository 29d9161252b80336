"""Find the owner of a namespace: the semaphore carries its stack's name, and other stacks stop."""

import asyncio

from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError

from shared.errors import AnotherStack, PayloadUnreadable
from shared.jobs.slots import JOB_GATE
from shared.semaphore.messages import semaphore_id
from shared.semaphore.server import is_gone
from shared.semaphore.state import MEMO_STACK
from shared.temporal.client import QUERY_TIMEOUT

# Two stacks that started in the same moment find each other after this.
LOOK_SECONDS = 30.0


async def semaphore_stack(client: Client) -> str:
    """Return the stack whose semaphore runs; empty if none runs, or it has no name.

    Raises RPCError, or PayloadUnreadable if the name was encrypted with an unknown key.
    """
    try:
        semaphore = await client.get_workflow_handle(semaphore_id(JOB_GATE)).describe(
            rpc_timeout=QUERY_TIMEOUT
        )
    except RPCError as error:
        if not is_gone(error):
            raise
        return ""
    if semaphore.status is not WorkflowExecutionStatus.RUNNING:
        return ""
    name: str = await semaphore.memo_value(MEMO_STACK, "", type_hint=str)
    return name


async def check_alone(client: Client, stack: str) -> None:
    """Raise AnotherStack if another stack's semaphore runs; ignore what can't be read.

    A stack without a name does not check.
    """
    if not stack:
        return
    try:
        other = await semaphore_stack(client)
    except (RPCError, PayloadUnreadable):
        return
    if other not in ("", stack):
        raise AnotherStack(
            f"this is stack {stack}, and stack {other} uses namespace {client.namespace}: give one"
            f" of them another TEMPORAL_NAMESPACE; if they are the same, set STACK={other}"
        )


async def stay_alone(client: Client, stack: str) -> None:
    """Check again and again; raise AnotherStack as soon as there is another one."""
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        await check_alone(client, stack)
