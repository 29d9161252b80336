"""Submits, status calls and fetches of either service, with the faults around them."""

import asyncio
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request
from pydantic import BaseModel
from starlette.responses import Response, StreamingResponse

from services.mock_core.broken import HungResponse, ResetResponse, TornResponse, dripped
from services.mock_core.clock import Clock
from services.mock_core.faults.kinds import Hit, Where
from services.mock_core.ledger import ENDED, Generation, State
from services.mock_core.mock import Mock, TheMock
from services.mock_core.problems import Problem, documented
from shared.http.problems import Shape

_PAGE = "<html><head><title>gateway</title></head><body>please wait</body></html>"


def base_url(request: Request) -> str:
    """Return the mock's base URL as the caller sees it, from the checked `Host`."""
    return f"{request.url.scheme}://{request.headers['host']}"


def requested(
    request: Request, mock: Mock, *, id_: str, external_id: str | None, prompt: str, style: str = ""
) -> Generation:
    """Return the request of a submit; its token is the caller's fencing token, if it has one."""
    job, attempt = mock.jobs.find(external_id, prompt)
    token = request.headers.get("x-slot-token", "")
    return Generation(
        id=id_,
        external_id=external_id,
        job=job,
        attempt=attempt,
        prompt=prompt,
        style=style,
        base_url=base_url(request),
        token=int(token) if token.isdecimal() and len(token) < 19 else None,
    )


async def disturb_request(hits: Iterable[Hit], clock: Clock, *, shape: Shape) -> Response | None:
    """Return the fault's reply instead of handling the request; None to handle it."""
    for hit in hits:
        match hit.name:
            case "submit.refuse" | "poll.refuse" | "result.refuse":
                status = hit["status"]
                if hit.name == "result.refuse" and hit["code"] is None:
                    status = status or 404
                seconds = hit["retry_after"]
                headers = {} if seconds is None else {"Retry-After": str(seconds)}
                return shape(status, hit["code"], hit["message"], headers)
            case "submit.reset" | "poll.reset":
                return ResetResponse()
            case "submit.hang" | "poll.hang":
                if hit["seconds"] is None:
                    return HungResponse()
                await clock.sleep(hit["seconds"])
                return shape(504, None, "gave up", {})
            case "poll.forget":
                return shape(404, "not_found", "no such job", {})
    return None


async def disturb_reply(
    hits: Iterable[Hit], clock: Clock, *, reply: Response, shape: Shape
) -> Response:
    """Change the reply of a handled request by the fault plan."""
    for hit in hits:
        match hit.name:
            case "submit.delay" | "poll.delay" | "result.delay":
                await clock.sleep(hit["seconds"])
            case "submit.lose-reply" | "submit.accept-late" if hit["how"] != "held":
                reply = _lost(hit["how"], shape)
            case "poll.garbage":
                reply = _lost("garbage", shape)
            case "poll.truncate":
                body = bytes(reply.body)
                kept = body[: int(len(body) * hit["keep"])]
                reply = Response(kept, reply.status_code, media_type="application/json")
    return reply


def _lost(how: str, shape: Shape) -> Response:
    match how:
        case "reset":
            return ResetResponse()
        case "hang":
            return HungResponse()
        case "garbage":
            return Response(_PAGE, media_type="text/html")
        case _:
            return shape(int(how), None, None, {})


Reply = Callable[[Generation], Response]


class Accepted(BaseModel):
    job_id: str
    external_id: str | None = None


async def submit(
    mock: Mock,
    generation: Generation,
    *,
    reply: Reply,
    duplicate: Response | None = None,
    shape: Shape | None = None,
) -> Response:
    """Accept a generation unless a fault refuses it; the reply may get lost.

    `duplicate` is the reply to an external id that is in use; without it, it is accepted again.
    """
    shape = shape or mock.refusal
    hits = mock.plan.hits(Where.SUBMIT, generation)
    instead = await disturb_request(hits, mock.clock, shape=shape)
    if instead is None and mock.ledger.by_external(generation.external_id or ""):
        instead = duplicate
    if instead is not None:
        return instead
    # No await up to here unless it is accepted late: of two submits of one id the later one sees
    # the earlier, and no callback leaves before this one listens for it.
    late = next((hit for hit in hits if hit.name == "submit.accept-late"), None)
    if late is None:
        mock.runner.accept(generation)
    else:
        # Duplicates are not looked for again.
        accepting = mock.runner.accept_later(generation, late["seconds"])
        if late["how"] == "held":
            await asyncio.wait({accepting})
    for hit in hits:
        if hit.name == "submit.reply-after-callback" and generation.callback_url is not None:
            await mock.sender.wait_for(generation, hit["status"], within=hit["within"])
    return await disturb_reply(hits, mock.clock, reply=reply(generation), shape=shape)


@dataclass(slots=True)
class View:
    """The answer to a status call; `word` replaces the state if a fault reports an unknown one."""

    state: State
    percent: int | float | str | None
    error: str | None
    file_name: str | None
    word: str | None = None


def view_of(generation: Generation, now: float) -> View:
    """Return the answer to one status call; `now` is the vendor's nominal time."""
    percent = generation.percent(now)
    view = View(generation.state, percent, generation.error, generation.file_name)
    runs, has_succeeded = view.state is State.RUNNING, view.state is State.SUCCEEDED
    # Nominal seconds since its planned end.
    age = now - generation.run_from - generation.run_for
    for hit in generation.progress_hits:
        match hit.name:
            case "progress.backwards" if runs:
                if percent >= hit["at"] and generation.regressed < hit["polls"]:
                    generation.regressed += 1
                    view.state, view.percent = State.QUEUED, hit["to"]
            case "progress.absurd" if runs:
                view.percent = hit["percent"]
            case "progress.unknown-state" if runs:
                view.word = hit["word"]
            case "progress.no-url" if has_succeeded:
                if hit["seconds"] is None or age < hit["seconds"]:
                    view.file_name = None
            case "progress.relapse" if has_succeeded:
                view.state, view.error, view.file_name = State.FAILED, hit["message"], None
    return view


def ids_of(generation: Generation) -> dict[str, str]:
    """Return the ids in each answer: the vendor's, and the caller's if it gave one."""
    ours = generation.external_id
    return {"job_id": generation.id} | ({} if ours is None else {"external_id": ours})


async def look_up(
    mock: Mock,
    generation: Generation | None,
    *,
    reply: Callable[[Generation, View], Response],
    shape: Shape | None = None,
) -> Response:
    """Return a generation as the plan allows; raise a problem (404) if there is none."""
    if generation is None:
        raise Problem(404, "not_found", detail="no such job")
    shape = shape or mock.refusal
    hits = mock.plan.hits(Where.POLL, generation)
    instead = await disturb_request(hits, mock.clock, shape=shape)
    if instead is not None:
        return instead
    view = view_of(generation, mock.clock.now())
    if view.state in ENDED:
        generation.reported = generation.reported or time.time()
        mock.sender.signal(generation, "reported")
    return await disturb_reply(hits, mock.clock, reply=reply(generation, view), shape=shape)


# No file has a size of more digits.
_RANGE = re.compile(r"bytes= *(\d{0,18})-(\d{0,18}) *", re.ASCII)
# Keep the first bytes, so that the file still has its type.
_HEAD = 16
_OTHER_BYTES = bytes(byte ^ 0xA5 for byte in range(256))


def add_files(router: APIRouter, path: str, media_type: str) -> None:
    """Add the route of the finished files, whole or in a range."""
    content: dict[str, Any] = {"content": {media_type: {}}}

    @router.get(
        path,
        response_class=Response,
        responses={200: content, 206: content, **documented(404, 416)},
    )
    async def get_file(
        mock: TheMock, name: str, range_: Annotated[str | None, Header(alias="Range")] = None
    ) -> Response:
        """The file, whole or in a range."""
        return await serve_file(mock, name, range_header=range_)


async def serve_file(mock: Mock, name: str, *, range_header: str | None) -> Response:
    """Serve the stored file; 404 if there is none or it has expired, 416 for a range outside of
    it."""
    file = mock.files.get(name)
    if file is None:
        raise Problem(404, "not_found", detail=f"no file {name}")
    hits = mock.plan.hits(Where.RESULT, file.generation) if file.generation is not None else ()
    age = mock.clock.now() - file.made_at
    for hit in hits:
        if hit.name == "result.redirect":
            return Response(status_code=hit["status"], headers={"Location": hit["to"]})
        if hit.name == "result.expire" and age >= hit["seconds"]:
            if hit["seconds"]:
                mock.fetched_late.add(name)
            raise Problem(hit["status"], "expired", detail=f"{name} has expired")
    instead = await disturb_request(hits, mock.clock, shape=mock.refusal)
    if instead is not None:
        return instead
    body = file.body
    for hit in hits:
        match hit.name:
            case "result.truncate":
                body = body[: int(len(body) * hit["keep"])]
            case "result.empty":
                body = b""
            case "result.corrupt":
                body = body[:_HEAD] + body[_HEAD:].translate(_OTHER_BYTES)
    reply = _ranged(body, file.media_type, range_header)
    reply = await disturb_reply(hits, mock.clock, reply=reply, shape=mock.refusal)
    for hit in hits:
        if hit.name == "result.reset":
            return TornResponse(reply)
        if hit.name == "result.drip":
            drops = dripped(
                bytes(reply.body), mock.clock, seconds=hit["seconds"], drops=hit["drops"]
            )
            return StreamingResponse(drops, reply.status_code, reply.headers)
    return reply


def _ranged(body: bytes, media_type: str, header: str | None) -> Response:
    """Serve one range of bytes; otherwise the whole file, as HTTP allows."""
    headers, size = {"Accept-Ranges": "bytes"}, len(body)
    found = _RANGE.fullmatch(header or "")
    first, last = found.groups() if found else ("", "")
    if not first and not last:
        return Response(body, media_type=media_type, headers=headers)
    start = int(first) if first else max(size - int(last), 0)
    end = min(int(last) if first and last else size - 1, size - 1)
    if start >= size or end < start:
        outside = {"Content-Range": f"bytes */{size}"}
        raise Problem(416, "bad_range", detail="the range is outside the file", headers=outside)
    headers["Content-Range"] = f"bytes {start}-{end}/{size}"
    return Response(body[start : end + 1], 206, media_type=media_type, headers=headers)
