"""`python -m services.semaphore.namespace look|add|make [DAYS]`: check and repair the namespace.

`look` changes nothing; `add` adds search attributes if it may; `make` also creates the namespace,
which keeps closed jobs for DAYS. All name the stack that uses the namespace. The last line is
`NamespaceFindings` as JSON; AWAY if the server does not answer.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable

from google.protobuf.duration_pb2 import Duration
from pydantic import BaseModel, computed_field
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError

from shared.errors import PayloadUnreadable, TemporalRefuses, TemporalUnavailable
from shared.jobs.slots import JOB_GATE
from shared.process_exit import run_and_exit
from shared.result_line import AWAY, CONNECT_SECONDS, print_result
from shared.semaphore.messages import semaphore_id
from shared.semaphore.server import is_gone, names_namespace
from shared.semaphore.state import MEMO_STACK
from shared.settings.payloads import PayloadSettings
from shared.temporal.client import QUERY_TIMEOUT, answer, connect
from shared.temporal.namespace import OURS, TYPES, described, missing_attributes, see_namespace
from shared.temporal.refusals import refusal

LOOK, ADD, MAKE = "look", "add", "make"
USUAL_DAYS = 3
# Every host of a server knows new names within this time.
SPREAD_SECONDS = 60.0
POLL_SECONDS = 0.25


class NamespaceFindings(BaseModel):
    """The findings. `missing`: attributes and their types; `instead`: the types that they have;
    `forbidden`: why nothing was fixed; `refused`: why it could not be read; `stack`: whose
    semaphore runs, or empty; `unreadable`: why that is not known."""

    namespace: str = ""
    there: bool = False
    missing: dict[str, str] = {}
    instead: dict[str, str] = {}
    done: list[str] = []
    forbidden: str = ""
    refused: str = ""
    stack: str = ""
    unreadable: str = ""

    @computed_field
    def wrong(self) -> str:
        """All findings in a sentence; empty if nothing is missing."""
        if self.refused or (self.there and not self.missing):
            return self.refused
        names = ", ".join(described(name, self.instead.get(name, "")) for name in self.missing)
        lacks = f"namespace {self.namespace} lacks search attributes: {names}"
        wrong = lacks if self.there else f"Temporal has no namespace {self.namespace}"
        return f"{wrong}; fixing it is not allowed ({self.forbidden})" if self.forbidden else wrong


def namespace(what: str, days: int = USUAL_DAYS) -> int:
    """Read or fix the namespace, and report; AWAY if the server does not answer."""
    try:
        findings = asyncio.run(_findings_of(what, days))
    except TemporalRefuses as refused:
        findings = NamespaceFindings(refused=refused.message)
    except TemporalUnavailable as error:
        sys.stderr.write(f"{error}\n")
        return AWAY
    print_result(findings.model_dump())
    return 0


async def _findings_of(what: str, days: int) -> NamespaceFindings:
    client = await answer(connect(PayloadSettings().payload_keys), seconds=CONNECT_SECONDS)
    findings = NamespaceFindings(namespace=client.namespace, missing=dict(TYPES))
    try:
        findings.there = await _knows(client, see_namespace)
        if not findings.there and what == MAKE:
            request = RegisterNamespaceRequest(
                namespace=client.namespace,
                workflow_execution_retention_period=Duration(seconds=days * 86_400),
            )
            await client.workflow_service.register_namespace(request)
            await _until(lambda: _knows(client, missing_attributes))
            findings.there = True
            findings.done.append(f"namespace {client.namespace}")
        if findings.there:
            await _see_attributes(client, findings, fix=what != LOOK)
            try:
                findings.stack = await answer(semaphore_stack(client))
            except (PayloadUnreadable, RPCError) as error:
                findings.unreadable = error.message
    except RPCError as error:
        findings.forbidden = error.message
    return findings


async def _see_attributes(client: Client, findings: NamespaceFindings, *, fix: bool) -> None:
    missing = await answer(missing_attributes(client))
    findings.missing = {name: TYPES[name] for name in missing}
    findings.instead = {name: instead for name, instead in missing.items() if instead}
    if missing and not findings.instead and fix:
        types = {name: OURS[name] for name in missing}
        request = AddSearchAttributesRequest(namespace=client.namespace, search_attributes=types)
        await client.operator_service.add_search_attributes(request)

        async def has_all() -> bool:
            return not await missing_attributes(client)

        await _until(has_all)
        findings.done += [f"search attribute {described(name)}" for name in missing]
        findings.missing = {}


async def semaphore_stack(client: Client) -> str:
    """Return the stack whose semaphore runs; empty if none runs, or it has no name.

    Raises RPCError, or PayloadUnreadable if the name was encrypted with an unknown key.
    """
    try:
        handle = client.get_workflow_handle(semaphore_id(JOB_GATE))
        semaphore = await handle.describe(rpc_timeout=QUERY_TIMEOUT)
    except RPCError as error:
        if not is_gone(error):
            raise
        return ""
    runs = semaphore.status is WorkflowExecutionStatus.RUNNING
    return str(await semaphore.memo_value(MEMO_STACK, "", type_hint=str)) if runs else ""


async def _knows(client: Client, look: Callable[[Client], Awaitable[object]]) -> bool:
    """True if the server knows the namespace; raise TemporalRefuses if we may not ask."""
    try:
        await look(client)
    except RPCError as error:
        if names_namespace(error):
            return False
        if (refused := refusal(error)) is not None:
            raise refused from error
        raise
    return True


async def _until(seen: Callable[[], Awaitable[bool]]) -> None:
    """Return when it is visible; raise TemporalUnavailable if that takes too long."""
    try:
        async with asyncio.timeout(SPREAD_SECONDS):
            while True:
                if await seen():
                    return
                await asyncio.sleep(POLL_SECONDS)
    except TimeoutError as error:
        raise TemporalUnavailable("The namespace is not visible yet; try again.") from error


if __name__ == "__main__":
    run_and_exit(lambda: sys.exit(namespace(sys.argv[1], *map(int, sys.argv[2:]))))
