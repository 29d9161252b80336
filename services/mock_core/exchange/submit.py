"""A submit at either service: accepted unless a fault or the service itself is in the way."""

import asyncio
from collections import deque
from collections.abc import Callable

from starlette.responses import Response

from services.mock_core.exchange.disturb import disturb_reply, disturb_request
from services.mock_core.faults.kinds import Fault, Where
from services.mock_core.faults.kinds.submit import AcceptLate, Pool, Quota, ReplyAfterCallback
from services.mock_core.faults.plan import Hit
from services.mock_core.ledger.generation import Generation
from services.mock_core.mock import Mock
from shared.http.problems import Shape

Reply = Callable[[Generation], Response]
# The reply where the service itself turns a generation away, else None.
Admission = Callable[[Generation], Response | None]
_QUOTA_MEMORY = 100_000


async def submit(
    mock: Mock,
    generation: Generation,
    *,
    reply: Reply,
    admission: Admission = lambda _: None,
    shape: Shape | None = None,
) -> Response:
    """Accept a generation unless a fault or `admission` is in the way; the reply may get lost."""
    shape = shape or mock.refusal
    hits = mock.plan.hits(
        Where.SUBMIT, generation, when=lambda rule, fault: _is_too_much(mock, rule, fault)
    )
    instead = await disturb_request(hits, mock.clock, shape=shape)
    if instead is None:
        instead = admission(generation)
    if instead is not None:
        return instead
    # Unless it is accepted late, nothing is waited for in between: of two submits of one id the
    # later sees the earlier, and no callback leaves before `_wait_for_callback` listens for it.
    await _accept(mock, generation, hits)
    await _wait_for_callback(mock, generation, hits)
    return await disturb_reply(hits, mock.clock, reply=reply(generation), shape=shape)


def _is_too_much(mock: Mock, rule: str, fault: Fault) -> bool:
    """Whether a rule that refuses only what is too much has a reason to; others always have."""
    match fault:
        case Pool(places=places):
            return mock.ledger.in_flight >= places
        case Quota(submits=submits, seconds=seconds):
            return over_quota(mock, rule, submits=submits, seconds=seconds)
    return True


def over_quota(mock: Mock, name: str, *, submits: int, seconds: float) -> bool:
    """Whether the quota of this name is used up; where it isn't, this submit counts."""
    now = mock.clock.now()
    taken = mock.quotas.setdefault(name, deque(maxlen=_QUOTA_MEMORY))
    while taken and now - taken[0] >= seconds:
        taken.popleft()
    if len(taken) >= submits:
        return True
    taken.append(now)
    return False


async def _accept(mock: Mock, generation: Generation, hits: tuple[Hit, ...]) -> None:
    """At once, or behind the caller's back; what was admitted is not looked at again."""
    for hit in hits:
        match hit.fault:
            case AcceptLate(seconds=seconds, how=how):
                accepting = mock.runner.accept_later(generation, seconds.at(hit.quantile))
                if how == "held":
                    await asyncio.wait({accepting})
                return
    mock.runner.accept(generation)


async def _wait_for_callback(mock: Mock, generation: Generation, hits: tuple[Hit, ...]) -> None:
    """Hold the reply back until the callback has overtaken it."""
    for hit in hits:
        match hit.fault:
            case ReplyAfterCallback(status=status, within=within):
                if generation.callback_url is not None:
                    await mock.sender.sent(generation, status, within=within)
