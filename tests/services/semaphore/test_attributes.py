"""Our search attributes in a namespace that was not prepared for us."""

from uuid import uuid4

from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Client

from services.semaphore.attributes import register_search_attributes
from shared.temporal.namespace import OURS
from tests.fixtures.temporal import RETENTION


async def known(client: Client) -> dict[str, int]:
    answer = await client.operator_service.list_search_attributes(
        ListSearchAttributesRequest(namespace=client.namespace)
    )
    return {name: kind for name, kind in answer.custom_attributes.items() if name in OURS}


async def test_what_is_missing_is_added_once(temporal_address: str) -> None:
    name = f"test-{uuid4().hex[:12]}"
    client = await Client.connect(temporal_address, namespace=name)
    await client.workflow_service.register_namespace(
        RegisterNamespaceRequest(namespace=name, workflow_execution_retention_period=RETENTION)
    )
    assert await known(client) == {}
    for _ in range(2):
        await register_search_attributes(client)
        assert await known(client) == OURS
