"""Whom the vendor turns away before any work: a second task of one id, a task without a place."""

from collections.abc import Callable
from typing import cast

from starlette.responses import Response

from services.mock_core.exchange.submit import Reply
from services.mock_core.http.problems import RefusalShape
from services.mock_core.ledger.generation import Generation
from services.mock_core.mock import Mock
from services.mock_kling.config import KlingConfig

DUPLICATE = 1201
POOL_FULL = 1303


def build_admission(
    mock: Mock, reply: Reply, *, shape: RefusalShape
) -> Callable[[Generation], Response | None]:
    """Decides on one request, in the words of the wire that is spoken."""
    config = cast(KlingConfig, mock.config)

    def admission(generation: Generation) -> Response | None:
        known = mock.ledger.by_external(generation.external_id or "")
        if known is not None and config.duplicates == "first":
            return reply(known)
        if known is not None and config.duplicates == "reject":
            return shape(None, DUPLICATE, "external_task_id is already in use", {})
        if config.places and mock.ledger.in_flight >= config.places:
            return shape(None, POOL_FULL, None, {})
        return None

    return admission
