"""A submit at either service: accepted unless a fault or the service itself is in the way."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

from starlette.responses import Response

from services.mock_core.exchange.disturb import disturb_reply, disturb_request
from services.mock_core.faults.armed import ArmedEffect
from services.mock_core.faults.kinds import Where
from services.mock_core.faults.plan import Hit
from services.mock_core.http.problems import RefusalShape
from services.mock_core.ledger.generation import Generation
from services.mock_core.mock import Mock

Reply = Callable[[Generation], Response]
# The reply where the service itself turns a generation away, else None.
Admission = Callable[[Generation], Response | None]
_QUOTA_MEMORY = 100_000


def _admit_all(_: Generation) -> Response | None:
    return None


async def submit(
    mock: Mock,
    generation: Generation,
    *,
    reply: Reply,
    admission: Admission = _admit_all,
    shape: RefusalShape | None = None,
) -> Response:
    """Accept a generation unless a fault or `admission` is in the way; the reply may get lost."""
    shape = shape or mock.refusal
    hits = mock.plan.hits(
        Where.SUBMIT, generation, when=lambda rule, effect: _limited(mock, rule, effect)
    )
    instead = await disturb_request(hits, mock.clock, shape=shape)
    if instead is None:
        instead = admission(generation)
    if instead is not None:
        return instead
    await _accept(mock, generation, hits)
    await _outrun(mock, generation, hits)
    return await disturb_reply(hits, mock.clock, reply=reply(generation), shape=shape)


def _limited(mock: Mock, rule: str, effect: ArmedEffect) -> bool:
    """Whether a rule that refuses only what is too much has a reason to; others always have."""
    params: Any = effect.params
    if effect.do == "pool":
        return bool(mock.ledger.in_flight >= params.places)
    if effect.do != "quota":
        return True
    now = mock.clock.now()
    taken = mock.quotas.setdefault(rule, deque(maxlen=_QUOTA_MEMORY))
    while taken and now - taken[0] >= params.seconds:
        taken.popleft()
    if len(taken) >= params.submits:
        return True
    taken.append(now)
    return False


async def _accept(mock: Mock, generation: Generation, hits: tuple[Hit, ...]) -> None:
    """At once, or behind the caller's back; what was admitted is not looked at again."""
    late = next((hit for hit in hits if hit.do == "accept-late"), None)
    if late is None:
        mock.runner.accept(generation)
        return
    accepting = mock.runner.accept_later(generation, late.params.seconds.at(late.quantile))
    if late.params.how == "held":
        await asyncio.wait({accepting})


async def _outrun(mock: Mock, generation: Generation, hits: tuple[Hit, ...]) -> None:
    """Hold the reply back until the callback has overtaken it."""
    for hit in hits:
        if hit.do == "reply-after-callback" and generation.callback_url is not None:
            await mock.sender.sent(generation, hit.params.status, within=hit.params.within)
