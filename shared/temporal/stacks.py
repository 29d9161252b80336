"""Which stack owns a namespace: the semaphore carries its stack's name, and no other one polls."""

import asyncio

from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError

from shared.errors import AnotherStack, PayloadUnreadable
from shared.jobs.slots import JOB_GATE
from shared.semaphore.messages import semaphore_id
from shared.semaphore.server import is_gone
from shared.semaphore.state import MEMO_STACK
from shared.temporal.client import QUERY_TIMEOUT

# Two stacks that came up in the same moment find each other after this at the latest.
LOOK_SECONDS = 30.0


async def semaphore_stack(client: Client) -> str:
    """The stack whose semaphore runs; empty where none does, or where nobody told it a name.

    RPCError, and PayloadUnreadable where it was written under a key that we don't have.
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
    """AnotherStack where another stack's semaphore runs; what can't be told is let pass.

    Who has no name of its own asks nothing.
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
            f" of them another TEMPORAL_NAMESPACE; where they are the same, say STACK={other}"
        )


async def stay_alone(client: Client, stack: str) -> None:
    """Return never; AnotherStack as soon as there is one."""
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        await check_alone(client, stack)
