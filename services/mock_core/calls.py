"""Submits and status calls of either service, with the faults around them."""

import asyncio
import re
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from fastapi import Request
from starlette.responses import Response

from services.mock_core.broken import HungResponse, ResetResponse
from services.mock_core.clock import Clock
from services.mock_core.faults.fault import Fault, Hang, Late, Refuse, Reset, Where
from services.mock_core.faults.kinds import (
    PollForget,
    PollGarbage,
    PollTruncate,
    ProgressAbsurd,
    ProgressBackwards,
    ProgressFreeze,
    ProgressNoUrl,
    ProgressRelapse,
    ProgressUnknownState,
    SubmitAcceptLate,
    SubmitLoseReply,
    SubmitPool,
    SubmitQuota,
    SubmitReplyAfterCallback,
    SubmitSkew,
)
from services.mock_core.faults.plan import Hit
from services.mock_core.ledger.generation import ENDED, Generation, State
from services.mock_core.mock import Mock
from services.mock_core.problems import Problem
from shared.http.problems import Shape

_WORD = re.compile(r"(?:^|\s)#([\w.-]{1,64})")
HEADER = "x-mock-tag"


def find_tag(request: Request, prompt: str) -> str:
    """Return the header `X-Mock-Tag`, else the first `#word` of the prompt, else an empty text."""
    named = request.headers.get(HEADER, "")
    if named:
        return named[:64]
    found = _WORD.search(prompt)
    return found[1] if found else ""


def base_url(request: Request) -> str:
    """Return the mock's base URL as the caller sees it, from the checked `Host`."""
    return f"{request.url.scheme}://{request.headers['host']}"


def slot_token(request: Request) -> int | None:
    """Return the caller's fencing token, or None."""
    text = request.headers.get("x-slot-token", "")
    return int(text) if text.isdecimal() and len(text) < 19 else None


TOO_FAST, POOL_FULL, NOT_YET_VALID, EXPIRED = 1302, 1303, 1003, 1004
_PAGE = "<html><head><title>gateway</title></head><body>please wait</body></html>"


async def disturb_request(hits: Iterable[Hit], clock: Clock, *, shape: Shape) -> Response | None:
    """Return the fault's reply instead of handling the request; None to handle it."""
    for hit in hits:
        match hit.fault:
            case Refuse(answered_status=status, code=code, message=message) as refuse:
                return shape(status, code, message, retry_after(refuse.retry_after))
            case SubmitQuota(retry_after=seconds):
                return shape(429, TOO_FAST, None, retry_after(seconds))
            case SubmitPool():
                return shape(429, POOL_FULL, None, {})
            case SubmitSkew(seconds=skew):
                return shape(401, EXPIRED if skew > 0 else NOT_YET_VALID, None, {})
            case Reset():
                return ResetResponse()
            case Hang(seconds=None):
                return HungResponse()
            case Hang(seconds=limit) if limit is not None:
                await clock.sleep(limit.at(hit.quantile))
                return shape(504, None, "gave up", {})
    return None


async def disturb_reply(
    hits: Iterable[Hit], clock: Clock, *, reply: Response, shape: Shape
) -> Response:
    """Return the reply as it leaves; the request has been carried out."""
    for hit in hits:
        match hit.fault:
            case Late(seconds=seconds):
                await clock.sleep(seconds.at(hit.quantile))
            case SubmitLoseReply(how=how):
                reply = _lost(how, shape)
            case SubmitAcceptLate(how=how) if how != "held":
                reply = _lost(how, shape)
            case PollGarbage():
                reply = _page()
            case PollTruncate(keep=keep):
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


Reply = Callable[[Generation], Response]
# The service's own refusal of a generation, or None.
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
    """Accept a generation unless a fault or `admission` refuses it; the reply may get lost."""
    shape = shape or mock.refusal
    hits = mock.plan.hits(
        Where.SUBMIT, generation, when=lambda rule, fault: _is_too_much(mock, rule, fault)
    )
    instead = await disturb_request(hits, mock.clock, shape=shape)
    if instead is None:
        instead = admission(generation)
    if instead is not None:
        return instead
    # No await up to here unless it is accepted late: of two submits of one id the later one sees
    # the earlier, and no callback leaves before `_wait_for_callback` listens for it.
    await _accept(mock, generation, hits)
    await _wait_for_callback(mock, generation, hits)
    return await disturb_reply(hits, mock.clock, reply=reply(generation), shape=shape)


def _is_too_much(mock: Mock, rule: str, fault: Fault) -> bool:
    """True if a rule refuses: always, or for a quota only beyond it."""
    match fault:
        case SubmitPool(places=places):
            return mock.ledger.in_flight >= places
        case SubmitQuota(submits=submits, seconds=seconds):
            return over_quota(mock, rule, submits=submits, seconds=seconds)
    return True


def over_quota(mock: Mock, name: str, *, submits: int, seconds: float) -> bool:
    """True if this quota is used up; otherwise count the submit."""
    now = mock.clock.now()
    taken = mock.quotas.setdefault(name, deque(maxlen=_QUOTA_MEMORY))
    while taken and now - taken[0] >= seconds:
        taken.popleft()
    if len(taken) >= submits:
        return True
    taken.append(now)
    return False


async def _accept(mock: Mock, generation: Generation, hits: tuple[Hit, ...]) -> None:
    """Accept now, or later without the caller's knowledge; admission is not checked again."""
    for hit in hits:
        match hit.fault:
            case SubmitAcceptLate(seconds=seconds, how=how):
                accepting = mock.runner.accept_later(generation, seconds.at(hit.quantile))
                if how == "held":
                    await asyncio.wait({accepting})
                return
    mock.runner.accept(generation)


async def _wait_for_callback(mock: Mock, generation: Generation, hits: tuple[Hit, ...]) -> None:
    """Delay the reply until the callback has overtaken it."""
    for hit in hits:
        match hit.fault:
            case SubmitReplyAfterCallback(status=status, within=within):
                if generation.callback_url is not None:
                    await mock.sender.sent(generation, status, within=within)


Percent = int | float | str | None


@dataclass(slots=True)
class View:
    """The answer of a status call; `word` replaces the state for a fault that reports an unknown
    state."""

    state: State
    percent: Percent
    error: str | None
    file_name: str | None
    word: str | None = None


def view_of(generation: Generation, now: float) -> View:
    """Return the answer to one status call; `now` is the vendor's nominal time."""
    percent = generation.percent(now)
    view = View(generation.state, percent, generation.error, generation.file_name)
    for hit in generation.progress_hits:
        if generation.state is State.RUNNING:
            _bend_running(view, generation, hit.fault, percent=percent)
        elif generation.state is State.SUCCEEDED:
            _bend_success(view, hit.fault, age=now - generation.run_from - generation.run_for)
    return view


def ids_of(generation: Generation) -> dict[str, str]:
    """Return the ids in each answer: the vendor's, and the caller's if it gave one."""
    ours = generation.external_id
    return {"job_id": generation.id} | ({} if ours is None else {"external_id": ours})


def _bend_running(view: View, generation: Generation, fault: Fault, *, percent: int) -> None:
    match fault:
        case ProgressBackwards(at=at, to=to, polls=polls):
            if percent >= at and generation.regressed < polls:
                generation.regressed += 1
                view.state, view.percent = State.QUEUED, to
        case ProgressFreeze(at=at):
            view.percent = min(percent, at)
        case ProgressAbsurd(percent=absurd):
            view.percent = absurd
        case ProgressUnknownState(word=word):
            view.word = word


def _bend_success(view: View, fault: Fault, *, age: float) -> None:
    """Let faults change a success; `age` is in nominal seconds since its planned end."""
    match fault:
        case ProgressNoUrl(seconds=seconds):
            if seconds is None or age < seconds:
                view.file_name = None
        case ProgressRelapse(message=message):
            view.state, view.error, view.file_name = State.FAILED, message, None


StatusReply = Callable[[Generation, View], Response]


async def look_up(
    mock: Mock,
    generation: Generation | None,
    *,
    reply: StatusReply,
    shape: Shape | None = None,
) -> Response:
    """Answer about a generation as the plan allows; a problem (404) if there is none."""
    if generation is None:
        raise Problem(404, "not_found", detail="no such job")
    hits = mock.plan.hits(Where.POLL, generation)
    if not hits:
        return _answer(mock, generation, reply)
    shape = shape or mock.refusal
    instead = await disturb_request(hits, mock.clock, shape=shape)
    if instead is not None:
        return instead
    if any(isinstance(hit.fault, PollForget) for hit in hits):
        return shape(404, "not_found", "no such job", {})
    answer = _answer(mock, generation, reply)
    return await disturb_reply(hits, mock.clock, reply=answer, shape=shape)


def _answer(mock: Mock, generation: Generation, reply: StatusReply) -> Response:
    view = view_of(generation, mock.clock.now())
    if view.state in ENDED:
        mock.sender.end_reported(generation)
    return reply(generation, view)
