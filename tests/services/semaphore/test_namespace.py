"""A namespace that was not prepared: what is added to it, and what `make namespace` hears."""

import json
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Client

from services.semaphore.namespace import (
    ADD,
    LOOK,
    MAKE,
    namespace,
    register_search_attributes,
)
from shared.result_line import AWAY
from shared.temporal.namespace import OURS
from tests.fixtures.processes import free_port
from tests.fixtures.temporal import RETENTION

Said = Callable[[str], Any]
BOTH = {"CustomProgress": "Int", "CustomTag": "Keyword"}


@pytest.fixture
def said(
    temporal_address: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Said:
    """What it says of a namespace that was not there before."""
    monkeypatch.setenv("TEMPORAL_ADDRESS", temporal_address)
    monkeypatch.setenv("TEMPORAL_NAMESPACE", f"test-{uuid4().hex[:12]}")

    def say(what: str) -> Any:
        assert namespace(what, 2) == 0
        return json.loads(capsys.readouterr().out.splitlines()[-1])

    return say


def test_namespace_is_made_only_on_request(said: Said) -> None:
    for what in (LOOK, ADD):
        found = said(what)
        assert (found["there"], found["missing"], found["done"]) == (False, BOTH, [])
        assert found["wrong"] == f"Temporal has no namespace {found['namespace']}"
    made = said(MAKE)
    assert made["done"] == [
        f"namespace {made['namespace']}",
        "search attribute CustomProgress (Int)",
        "search attribute CustomTag (Keyword)",
    ]
    again = said(LOOK)
    assert (made["wrong"], again["wrong"], again["done"]) == ("", "", [])


def test_unreachable_server_has_its_own_status(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", f"127.0.0.1:{free_port()}")
    assert namespace(LOOK) == AWAY
    assert capsys.readouterr().out == ""


def test_refusal_is_reported_with_its_reason(said: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_TLS", "true")
    assert "speaks no TLS" in said(MAKE)["wrong"]


async def known(client: Client) -> dict[str, int]:
    answer = await client.operator_service.list_search_attributes(
        ListSearchAttributesRequest(namespace=client.namespace)
    )
    return {name: kind for name, kind in answer.custom_attributes.items() if name in OURS}


async def test_missing_attributes_are_added_once(temporal_address: str) -> None:
    name = f"test-{uuid4().hex[:12]}"
    client = await Client.connect(temporal_address, namespace=name)
    await client.workflow_service.register_namespace(
        RegisterNamespaceRequest(namespace=name, workflow_execution_retention_period=RETENTION)
    )
    assert await known(client) == {}
    for _ in range(2):
        await register_search_attributes(client)
        assert await known(client) == OURS
