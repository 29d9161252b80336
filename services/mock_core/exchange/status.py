"""A status call at either service: answered as the fault plan lets it."""

from collections.abc import Callable

from starlette.responses import Response

from services.mock_core.exchange.disturb import disturb_reply, disturb_request
from services.mock_core.exchange.view import View, view_of
from services.mock_core.faults.kinds import Where
from services.mock_core.faults.kinds.poll import Forget
from services.mock_core.ledger.generation import ENDED, Generation
from services.mock_core.mock import Mock
from services.mock_core.problems import Problem
from shared.http.problems import Shape

StatusReply = Callable[[Generation, View], Response]


async def look_up(
    mock: Mock,
    generation: Generation | None,
    *,
    reply: StatusReply,
    shape: Shape | None = None,
) -> Response:
    """Answer about a generation as the plan lets it; a problem (404) when there is none."""
    if generation is None:
        raise Problem(404, "not_found", detail="no such job")
    hits = mock.plan.hits(Where.POLL, generation)
    if not hits:
        return _answer(mock, generation, reply)
    shape = shape or mock.refusal
    instead = await disturb_request(hits, mock.clock, shape=shape)
    if instead is not None:
        return instead
    if any(isinstance(hit.fault, Forget) for hit in hits):
        return shape(404, "not_found", "no such job", {})
    answer = _answer(mock, generation, reply)
    return await disturb_reply(hits, mock.clock, reply=answer, shape=shape)


def _answer(mock: Mock, generation: Generation, reply: StatusReply) -> Response:
    view = view_of(generation, mock.clock.now())
    if view.state in ENDED:
        mock.sender.end_reported(generation)
    return reply(generation, view)
