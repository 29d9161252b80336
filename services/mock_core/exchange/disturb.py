"""Carries the plan's decisions out on one HTTP exchange, before it is handled and on its reply."""

from collections.abc import Iterable

from starlette.responses import Response

from services.mock_core.broken import HungResponse, ResetResponse
from services.mock_core.faults.kinds import common, poll, submit
from services.mock_core.faults.plan import Hit
from services.mock_core.lib.clock import Clock
from shared.http.problems import Shape

TOO_FAST, POOL_FULL, NOT_YET_VALID, EXPIRED = 1302, 1303, 1003, 1004
_PAGE = "<html><head><title>gateway</title></head><body>please wait</body></html>"


async def disturb_request(hits: Iterable[Hit], clock: Clock, *, shape: Shape) -> Response | None:
    """The reply that takes the place of handling the request; None to handle it."""
    for hit in hits:
        match hit.fault:
            case common.Refuse(answered_status=status, code=code, message=message) as refuse:
                return shape(status, code, message, retry_after(refuse.retry_after))
            case submit.Quota(retry_after=seconds):
                return shape(429, TOO_FAST, None, retry_after(seconds))
            case submit.Pool():
                return shape(429, POOL_FULL, None, {})
            case submit.Skew(seconds=skew):
                return shape(401, EXPIRED if skew > 0 else NOT_YET_VALID, None, {})
            case common.Reset():
                return ResetResponse()
            case common.Hang(seconds=None):
                return HungResponse()
            case common.Hang(seconds=limit) if limit is not None:
                await clock.sleep(limit.at(hit.quantile))
                return shape(504, None, "gave up", {})
    return None


async def disturb_reply(
    hits: Iterable[Hit], clock: Clock, *, reply: Response, shape: Shape
) -> Response:
    """The reply as it leaves; the request has been carried out by now."""
    for hit in hits:
        match hit.fault:
            case common.Delay(seconds=seconds):
                await clock.sleep(seconds.at(hit.quantile))
            case submit.LoseReply(how=how):
                reply = _lost(how, shape)
            case submit.AcceptLate(how=how) if how != "held":
                reply = _lost(how, shape)
            case poll.Garbage():
                reply = _page()
            case poll.Truncate(keep=keep):
                body = bytes(reply.body)
                kept = body[: int(len(body) * keep)]
                reply = Response(kept, reply.status_code, media_type="application/json")
    return reply


def retry_after(seconds: int | None) -> dict[str, str]:
    return {} if seconds is None else {"Retry-After": str(seconds)}


def _page() -> Response:
    return Response(_PAGE, media_type="text/html")


def _lost(how: str, shape: Shape) -> Response:
    match how:
        case "reset":
            return ResetResponse()
        case "hang":
            return HungResponse()
        case "garbage":
            return _page()
        case _:
            return shape(int(how), None, None, {})
