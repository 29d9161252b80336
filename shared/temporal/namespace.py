"""What a namespace must have for us: that it is there, that we may use it, our search attributes.

Looked at by what any client may call. The server's own service for search attributes isn't: a
hosted Temporal lets nobody in there.
"""

import re
from collections.abc import Mapping
from datetime import timedelta
from weakref import WeakSet

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.workflowservice.v1 import (
    CountWorkflowExecutionsRequest,
    DescribeNamespaceRequest,
)
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from shared.temporal.client import CUSTOM_PROGRESS, CUSTOM_TAG
from shared.temporal.refusals import lacking, refusal

LOOK_TIMEOUT = timedelta(seconds=2)
INT = IndexedValueType.INDEXED_VALUE_TYPE_INT
KEYWORD = IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD
OURS = {CUSTOM_PROGRESS.name: INT, CUSTOM_TAG.name: KEYWORD}
TYPES: Mapping[str, str] = {CUSTOM_PROGRESS.name: "Int", CUSTOM_TAG.name: "Keyword"}
# A query that finds nothing, and that a server without the attribute refuses; and how it says that
# the attribute is there, and of which other type.
_QUERIES = {
    CUSTOM_PROGRESS.name: f"WorkflowId = '-' AND {CUSTOM_PROGRESS.name} = 0",
    CUSTOM_TAG.name: f"WorkflowId = '-' AND {CUSTOM_TAG.name} = '-'",
}
_OTHER_TYPE = re.compile(r"search attribute \S+ of type (\w+)")
# A connection that was taken and ended without a word: with the call on its way, or before it.
_ENDED = re.compile(r"transport error|connection closed")
# Clients of namespaces that have all of them, for good: none is ever taken away.
_complete: WeakSet[Client] = WeakSet()


async def see_namespace(client: Client) -> None:
    """Return where it is there and we may use it; RPCError."""
    request = DescribeNamespaceRequest(namespace=client.namespace)
    await client.workflow_service.describe_namespace(request, timeout=LOOK_TIMEOUT)


async def missing_attributes(client: Client) -> dict[str, str]:
    """Which of ours the namespace lacks, and as what it has it instead, if at all; RPCError."""
    if client in _complete:
        return {}
    looked_at = {name: await _instead(client, name) for name in OURS}
    missing = {name: instead for name, instead in looked_at.items() if instead is not None}
    if not missing:
        _complete.add(client)
    return missing


async def see_all(client: Client) -> None:
    """Return where nothing is missing; RPCError, AttributesMissing."""
    await see_namespace(client)
    if missing := await missing_attributes(client):
        raise lacking(", ".join(map(told, missing, missing.values())))


def told(name: str, instead: str = "") -> str:
    """An attribute of ours with its type."""
    return f"{name} ({TYPES[name]}{f', not {instead}' if instead else ''})"


async def _instead(client: Client, name: str) -> str | None:
    """None where it is as it should be; else its type, empty where there is none such."""
    request = CountWorkflowExecutionsRequest(namespace=client.namespace, query=_QUERIES[name])
    try:
        await client.workflow_service.count_workflow_executions(request, timeout=LOOK_TIMEOUT)
    except RPCError as error:
        if error.status is not RPCStatusCode.INVALID_ARGUMENT or name not in error.message:
            raise
        other = _OTHER_TYPE.search(error.message)
        return other[1] if other else ""
    return None


def why(error: BaseException) -> str:
    """What a person is told of a server that can't be used."""
    if (refused := refusal(error)) is not None:
        return refused.message
    ended = "; does it want TLS, or a client certificate?" if _ENDED.search(str(error)) else ""
    return f"does not answer ({error}){ended}"
