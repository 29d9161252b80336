"""Our search attributes on a server that isn't the stack's own: added where they are missing."""

import structlog
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import (
    AddSearchAttributesRequest,
    ListSearchAttributesRequest,
)
from temporalio.client import Client
from temporalio.service import RPCError

from shared.temporal import CUSTOM_PROGRESS, CUSTOM_TAG

log = structlog.get_logger(__name__)

OURS = {
    CUSTOM_PROGRESS.name: IndexedValueType.INDEXED_VALUE_TYPE_INT,
    CUSTOM_TAG.name: IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
}


async def register_search_attributes(client: Client) -> None:
    """Add what the namespace lacks; a server that forbids it must have been prepared by hand."""
    operator = client.operator_service
    try:
        known = await operator.list_search_attributes(
            ListSearchAttributesRequest(namespace=client.namespace)
        )
        missing = {name: kind for name, kind in OURS.items() if name not in known.custom_attributes}
        if missing:
            await operator.add_search_attributes(
                AddSearchAttributesRequest(namespace=client.namespace, search_attributes=missing)
            )
            log.info("search attributes added", names=sorted(missing))
    except RPCError as error:
        log.warning("search attributes could not be added; add them by hand", reason=str(error))
