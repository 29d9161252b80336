"""Check the namespace: that it exists, that we may use it, and has our search attributes.

Only calls that any client may make are used. A hosted Temporal closes its operator service.
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
# A query that finds nothing, and that a server without the attribute refuses. Below: how the server
# names the type of an attribute.
_QUERIES = {
    CUSTOM_PROGRESS.name: f"WorkflowId = '-' AND {CUSTOM_PROGRESS.name} = 0",
    CUSTOM_TAG.name: f"WorkflowId = '-' AND {CUSTOM_TAG.name} = '-'",
}
_OTHER_TYPE = re.compile(r"search attribute \S+ of type (\w+)")
# A connection that was accepted and then closed: during the call, or before it.
_ENDED = re.compile(r"transport error|connection closed")
# Namespaces that have all attributes; attributes are never removed.
_complete: WeakSet[Client] = WeakSet()


async def see_namespace(client: Client) -> None:
    """Return if the namespace exists and we may use it; raise RPCError."""
    request = DescribeNamespaceRequest(namespace=client.namespace)
    await client.workflow_service.describe_namespace(request, timeout=LOOK_TIMEOUT)


async def missing_attributes(client: Client) -> dict[str, str]:
    """Return the missing attributes, each with its other type, if it has one; raise RPCError."""
    if client in _complete:
        return {}
    looked_at = {name: await _instead(client, name) for name in OURS}
    missing = {name: instead for name, instead in looked_at.items() if instead is not None}
    if not missing:
        _complete.add(client)
    return missing


async def see_all(client: Client) -> None:
    """Return if nothing is missing; raise RPCError or TemporalRefuses."""
    await see_namespace(client)
    if missing := await missing_attributes(client):
        raise lacking(", ".join(map(described, missing, missing.values())))


def described(name: str, instead: str = "") -> str:
    return f"{name} ({TYPES[name]}{f', not {instead}' if instead else ''})"


async def _instead(client: Client, name: str) -> str | None:
    """Return None if the attribute is right, otherwise its type, or "" if it does not exist."""
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
    """Return why a server can't be used, for a person."""
    if (refused := refusal(error)) is not None:
        return refused.message
    ended = "; does it want TLS, or a client certificate?" if _ENDED.search(str(error)) else ""
    return f"does not answer ({error}){ended}"
