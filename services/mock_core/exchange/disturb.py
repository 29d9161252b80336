"""Carries the plan's decisions out on one HTTP exchange, before it is handled and on its reply."""

from collections.abc import Iterable

from starlette.responses import Response

from services.mock_core.faults.plan import Hit
from services.mock_core.http.broken import HungResponse, ResetResponse
from services.mock_core.http.problems import RefusalShape
from services.mock_core.lib.clock import Clock

TOO_FAST, POOL_FULL, NOT_YET_VALID, EXPIRED = 1302, 1303, 1003, 1004
_PAGE = "<html><head><title>gateway</title></head><body>please wait</body></html>"


async def disturb_request(
    hits: Iterable[Hit], clock: Clock, *, shape: RefusalShape
) -> Response | None:
    """The reply that takes the place of handling the request; None to handle it."""
    for hit in hits:
        match hit.do:
            case "refuse":
                return shape(
                    hit.params.status,
                    hit.params.code,
                    hit.params.message,
                    retry_after(hit.params.retry_after),
                )
            case "quota":
                return shape(429, TOO_FAST, None, retry_after(hit.params.retry_after))
            case "pool":
                return shape(429, POOL_FULL, None, {})
            case "skew":
                code = EXPIRED if hit.params.seconds > 0 else NOT_YET_VALID
                return shape(401, code, None, {})
            case "reset":
                return ResetResponse()
            case "hang":
                if hit.params.seconds is None:
                    return HungResponse()
                await clock.sleep(hit.params.seconds.at(hit.quantile))
                return shape(504, None, "gave up", {})
    return None


async def disturb_reply(
    hits: Iterable[Hit], clock: Clock, *, reply: Response, shape: RefusalShape
) -> Response:
    """The reply as it leaves; the request has been carried out by now."""
    for hit in hits:
        match hit.do:
            case "delay":
                await clock.sleep(hit.params.seconds.at(hit.quantile))
            case "lose-reply":
                reply = _lost(hit.params.how, shape)
            case "accept-late" if hit.params.how != "held":
                reply = _lost(hit.params.how, shape)
            case "garbage":
                reply = _page()
            case "truncate":
                body = bytes(reply.body)
                kept = body[: int(len(body) * hit.params.keep)]
                reply = Response(kept, reply.status_code, media_type="application/json")
    return reply


def retry_after(seconds: int | None) -> dict[str, str]:
    return {} if seconds is None else {"Retry-After": str(seconds)}


def _page() -> Response:
    return Response(_PAGE, media_type="text/html")


def _lost(how: str, shape: RefusalShape) -> Response:
    match how:
        case "reset":
            return ResetResponse()
        case "hang":
            return HungResponse()
        case "garbage":
            return _page()
        case _:
            return shape(int(how), None, None, {})
