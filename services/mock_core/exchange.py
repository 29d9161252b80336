"""The two exchanges that both services have, submit and look-up, with the faults around them."""

from collections.abc import Callable

from starlette.responses import Response

from services.mock_core.faults.kinds import Where
from services.mock_core.generation import Generation
from services.mock_core.mock import Mock
from services.mock_core.problems import Problem
from services.mock_core.wire import RefusalShape, disturb_reply, disturb_request

Reply = Callable[[Generation], Response]
# The reply where the service itself turns a generation away, else None.
Gate = Callable[[Generation], Response | None]


def _open_gate(_: Generation) -> Response | None:
    return None


async def submit(
    mock: Mock,
    generation: Generation,
    *,
    reply: Reply,
    gate: Gate = _open_gate,
    shape: RefusalShape | None = None,
) -> Response:
    """Accept a generation unless a fault or the gate is in the way; the reply may get lost."""
    shape = shape or mock.refusal
    hits = mock.plan.hits(Where.SUBMIT, generation)
    instead = await disturb_request(hits, mock.clock, shape=shape)
    if instead is None:
        instead = gate(generation)
    if instead is not None:
        return instead
    mock.studio.accept(generation)
    return await disturb_reply(hits, mock.clock, reply=reply(generation), shape=shape)


async def look_up(
    mock: Mock, any_id: str, *, reply: Reply, shape: RefusalShape | None = None
) -> Response:
    """Answer about a generation that either id names, 404 when there is none."""
    generation = mock.registry.find(any_id)
    if generation is None:
        raise Problem(404, "not_found", detail=f"no job {any_id}")
    hits = mock.plan.hits(Where.POLL, generation)
    if not hits:
        return reply(generation)
    shape = shape or mock.refusal
    instead = await disturb_request(hits, mock.clock, shape=shape)
    if instead is not None:
        return instead
    return await disturb_reply(hits, mock.clock, reply=reply(generation), shape=shape)
