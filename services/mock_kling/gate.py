"""Whom the vendor turns away before any work: a second task of one id, a task without a place."""

from collections.abc import Callable
from typing import cast

from starlette.responses import Response

from services.mock_core.exchange import Reply
from services.mock_core.generation import Generation
from services.mock_core.mock import Mock
from services.mock_core.wire import RefusalShape
from services.mock_kling.settings import KlingSettings

DUPLICATE = 1201
POOL_FULL = 1303


def build_gate(
    mock: Mock, reply: Reply, *, shape: RefusalShape
) -> Callable[[Generation], Response | None]:
    """The gate of one request, in the words of the wire that is spoken."""
    settings = cast(KlingSettings, mock.settings)

    def gate(generation: Generation) -> Response | None:
        known = mock.registry.by_external(generation.external_id or "")
        if known is not None and settings.kling_duplicates == "first":
            return reply(known)
        if known is not None and settings.kling_duplicates == "reject":
            return shape(None, DUPLICATE, "external_task_id is already in use", {})
        if settings.kling_places and mock.registry.in_flight >= settings.kling_places:
            return shape(None, POOL_FULL, None, {})
        return None

    return gate
