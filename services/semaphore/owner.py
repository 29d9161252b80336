"""`python -m services.semaphore.owner`: print the owner of the namespace's semaphore, for `make
up`.

The last line is `{"namespace": …, "stack": …}`, with an empty name if there is none. If the name
was encrypted with an unknown key, it has `unreadable` with the reason.
"""

import asyncio
import sys

from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError

from shared.errors import PayloadUnreadable, TemporalRefuses, TemporalUnavailable
from shared.jobs.slots import JOB_GATE
from shared.process_exit import run_and_exit
from shared.result_line import AWAY, CONNECT_SECONDS, print_result
from shared.semaphore.messages import semaphore_id
from shared.semaphore.server import is_gone
from shared.semaphore.state import MEMO_STACK
from shared.settings.payloads import PayloadSettings
from shared.temporal.client import QUERY_TIMEOUT, answer, connect


def owner() -> int:
    """Report the owner; AWAY if the server does not answer, 1 if it refuses us."""
    try:
        print_result(asyncio.run(_owner()))
    except TemporalRefuses as refused:
        sys.stderr.write(f"{refused}\n")
        return 1
    except TemporalUnavailable as error:
        sys.stderr.write(f"{error}\n")
        return AWAY
    return 0


async def _owner() -> dict[str, object]:
    client = await answer(connect(PayloadSettings().payload_keys), seconds=CONNECT_SECONDS)
    try:
        return {"namespace": client.namespace, "stack": await answer(semaphore_stack(client))}
    except PayloadUnreadable as error:
        return {"namespace": client.namespace, "unreadable": error.message}


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


if __name__ == "__main__":
    run_and_exit(lambda: sys.exit(owner()))
