"""Carries the plan's decisions out on one HTTP exchange, before it is handled and on its reply."""

from collections.abc import Callable, Iterable

from starlette.responses import Response

from services.mock_core.broken import HungResponse, ResetResponse
from services.mock_core.clock import Clock
from services.mock_core.faults.plan import Hit

# (status, code, message, headers) -> reply in the shape of the wire that is spoken.
RefusalShape = Callable[[int | None, int | str | None, str | None, dict[str, str]], Response]


async def disturb_request(
    hits: Iterable[Hit], clock: Clock, *, shape: RefusalShape
) -> Response | None:
    """The reply that takes the place of handling the request; None to handle it."""
    for hit in hits:
        match hit.do:
            case "refuse":
                return refusal(hit, shape)
            case "reset":
                return ResetResponse()
            case "hang":
                if hit.params.seconds is None:
                    return HungResponse()
                await clock.sleep(hit.params.seconds.at(hit.chance))
                return shape(504, None, "gave up", {})
    return None


async def disturb_reply(
    hits: Iterable[Hit], clock: Clock, *, reply: Response, shape: RefusalShape
) -> Response:
    """The reply as it leaves; the request has been carried out by now."""
    for hit in hits:
        match hit.do:
            case "delay":
                await clock.sleep(hit.params.seconds.at(hit.chance))
            case "lose-reply":
                reply = _lost(hit.params.how, shape)
    return reply


def refusal(hit: Hit, shape: RefusalShape) -> Response:
    headers = {}
    if hit.params.retry_after is not None:
        headers["Retry-After"] = str(hit.params.retry_after)
    return shape(hit.params.status, hit.params.code, hit.params.message, headers)


def _lost(how: str, shape: RefusalShape) -> Response:
    if how == "reset":
        return ResetResponse()
    if how == "hang":
        return HungResponse()
    return shape(int(how), None, None, {})
