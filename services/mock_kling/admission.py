"""Whom the vendor turns away before any work: a second task of one id, a task without a place."""

from collections.abc import Callable
from typing import cast

from starlette.responses import Response

from services.mock_core.exchange.submit import Reply
from services.mock_core.http.problems import RefusalShape
from services.mock_core.ledger.generation import Generation
from services.mock_core.mock import Mock
from services.mock_kling.config import KlingKnobs

DUPLICATE = 1201
POOL_FULL = 1303


def build_gate(
    mock: Mock, reply: Reply, *, shape: RefusalShape
) -> Callable[[Generation], Response | None]:
    """The gate of one request, in the words of the wire that is spoken."""
    knobs = cast(KlingKnobs, mock.knobs)

    def gate(generation: Generation) -> Response | None:
        known = mock.registry.by_external(generation.external_id or "")
        if known is not None and knobs.duplicates == "first":
            return reply(known)
        if known is not None and knobs.duplicates == "reject":
            return shape(None, DUPLICATE, "external_task_id is already in use", {})
        if knobs.places and mock.registry.in_flight >= knobs.places:
            return shape(None, POOL_FULL, None, {})
        return None

    return gate
