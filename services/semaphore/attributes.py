"""Add our search attributes to another server, if they are missing."""

from collections.abc import Iterable

import structlog
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.client import Client
from temporalio.service import RPCError

from shared.temporal.namespace import OURS, missing_attributes

log = structlog.get_logger(__name__)


async def register_search_attributes(client: Client) -> None:
    """Add what the namespace lacks; a server that forbids it must be prepared by hand."""
    try:
        if missing := await missing_attributes(client):
            await add_search_attributes(client, missing)
            log.info("search attributes added", names=missing)
    except RPCError as error:
        log.warning("search attributes could not be added: make namespace", reason=str(error))


async def add_search_attributes(client: Client, names: Iterable[str]) -> None:
    """Add these attributes; raise RPCError if it is forbidden, or one has another type."""
    request = AddSearchAttributesRequest(
        namespace=client.namespace, search_attributes={name: OURS[name] for name in names}
    )
    await client.operator_service.add_search_attributes(request)
