"""Whom the vendor turns away before any work: too fast, unpaid, a doubled id, no place left."""

from typing import cast

from fastapi import Request
from starlette.responses import Response

from services.mock_core.exchange.submit import Reply, over_quota, submit
from services.mock_core.ledger.generation import Generation
from services.mock_core.mock import mock_of
from services.mock_kling.account import Account
from services.mock_kling.config import KlingConfig
from shared.http.problems import Shape

PACK_USED_UP = 1102
DUPLICATE = 1201
POOL_FULL = 1303
# A rule's quota has the rule's name, which can't be empty.
_RATE = ""


async def take(request: Request, generation: Generation, *, reply: Reply, shape: Shape) -> Response:
    """Accept a task, or turn it away in the words of the wire that is spoken."""
    mock = mock_of(request)
    account: Account = request.app.state.account

    def turned_away(wanted: Generation) -> Response | None:
        config = cast(KlingConfig, mock.config)
        rate = config.rate
        if rate.tasks and over_quota(mock, _RATE, submits=rate.tasks, seconds=rate.seconds):
            return shape(None, rate.code, None, {})
        if not account.may_order(config.pack):
            return shape(None, PACK_USED_UP, None, {})
        known = mock.ledger.by_external(wanted.external_id or "")
        if known is not None and config.duplicates == "first":
            return reply(known)
        if known is not None and config.duplicates == "reject":
            return shape(None, DUPLICATE, "external_task_id is already in use", {})
        if config.places and mock.ledger.in_flight >= config.places:
            return shape(None, POOL_FULL, None, {})
        return None

    return await submit(mock, generation, reply=reply, admission=turned_away, shape=shape)
