"""A namespace as it is found: not there yet, or with other search attributes."""

import asyncio
from uuid import uuid4

import pytest
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Client

from shared.health import connect_when_up, temporal_reason
from shared.temporal.codec import PayloadKeys
from shared.temporal.namespace import KEYWORD
from tests.fixtures.eventually import eventually
from tests.fixtures.temporal import RETENTION


@pytest.fixture
async def bare(temporal_address: str) -> Client:
    """A client of a namespace that nobody has made."""
    return await Client.connect(temporal_address, namespace=f"test-{uuid4().hex[:12]}")


async def made(client: Client) -> None:
    await client.workflow_service.register_namespace(
        RegisterNamespaceRequest(
            namespace=client.namespace, workflow_execution_retention_period=RETENTION
        )
    )


async def added(client: Client, **kinds: int) -> None:
    await client.operator_service.add_search_attributes(
        AddSearchAttributesRequest(namespace=client.namespace, search_attributes=kinds)  # type: ignore[arg-type]
    )


async def test_attribute_of_another_type_is_named_with_it(bare: Client) -> None:
    await made(bare)
    await added(bare, CustomProgress=KEYWORD, CustomTag=KEYWORD)
    lacks = "search attributes: CustomProgress (Int, not Keyword); make namespace"
    # The server's parts hear of a namespace one after the other.
    await eventually(lambda: temporal_reason(bare), lambda reason: lacks in (reason or ""))


async def test_process_waits_for_its_namespace_and_reports_it(
    bare: Client, temporal_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", temporal_address)
    monkeypatch.setenv("TEMPORAL_NAMESPACE", bare.namespace)
    told: asyncio.Queue[str] = asyncio.Queue()
    waiting = asyncio.create_task(connect_when_up(PayloadKeys(), report=told.put_nowait))
    assert "is not found; make namespace" in await told.get()
    await made(bare)
    assert (await asyncio.wait_for(waiting, 60)).namespace == bare.namespace
