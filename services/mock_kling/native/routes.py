"""The vendor's own wire (documented, not captured): create, query, list, balance."""

import itertools
from typing import Annotated, Any, cast

from fastapi import APIRouter, Depends, Query, Request
from pydantic import ValidationError
from starlette.responses import JSONResponse, Response

from services.mock_core.exchange.status import look_up
from services.mock_core.exchange.submit import submit
from services.mock_core.exchange.view import View
from services.mock_core.http.documented import in_words_of
from services.mock_core.http.headers import base_url, find_tag, slot_token
from services.mock_core.http.problems import Problem
from services.mock_core.ledger.generation import Generation
from services.mock_core.lib.times import milliseconds
from services.mock_core.mock import TheMock
from services.mock_kling.admission import build_admission
from services.mock_kling.config import KlingConfig
from services.mock_kling.errors import resolve
from services.mock_kling.native.costs import Costs
from services.mock_kling.native.models import MODELS, CreateTask
from services.mock_kling.native.tokens import TokenCheck
from services.mock_kling.tasks import WORDS, new_task_id, units, videos
from services.mock_kling.video.pictures import BadPicture, check, decode

PREFIXES = ("/v1/", "/account/")
_MAX_BODY = 16_000_000
_BAD_BODY, _BAD_MEMBER, _NO_METHOD, _NO_MODEL = 1200, 1201, 1202, 1203
_requests = itertools.count(1)


def request_id() -> str:
    return f"req-{next(_requests):012d}"


def native_refusal(
    status: int | None, code: int | str | None, message: str | None, headers: dict[str, str]
) -> Response:
    """An error of the vendor: no `data`; what was not told comes from the table."""
    if code is not None and not str(code).isdecimal():
        code = None
    # What the framework refuses, in the vendor's words: a bad parameter, a bad method.
    status, code = {422: (400, _BAD_MEMBER), 405: (404, _NO_METHOD)}.get(
        status or 0, (status, code)
    )
    status, code, usual = resolve(status, code)
    body = {"code": int(code), "message": message or usual, "request_id": request_id()}
    return JSONResponse(body, status_code=status, headers=headers)


async def authorized(request: Request, mock: TheMock) -> None:
    """Refuse what the token check refuses, before anything is read."""
    config = cast(KlingConfig, mock.config)
    tokens: TokenCheck = request.app.state.tokens
    code = tokens.refusal(
        request.headers.get("authorization"),
        access_key=config.access_key,
        secret_key=config.secret_key,
        skew=config.clock_skew,
    )
    if code is not None:
        status, code_, message = resolve(None, code)
        raise Problem(status, code_, detail=message)


router = APIRouter(tags=["native"], dependencies=[Depends(authorized)])
_CREATE = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": CreateTask.model_json_schema()}},
    },
    "security": [{"bearer": []}],
}
_ERRORS = in_words_of(
    {
        "type": "object",
        "properties": {
            "code": {"type": "integer"},
            "message": {"type": "string"},
            "request_id": {"type": "string"},
        },
        "required": ["code", "message", "request_id"],
        "additionalProperties": False,
    },
    *(400, 401, 403, 404, 429, 500, 503, 504),
)


@router.post("/v1/videos/image2video", openapi_extra=_CREATE, responses=_ERRORS)
async def create_task(request: Request, mock: TheMock) -> Response:
    """Create a task."""
    wanted = await _read(request)
    request.app.state.reach.check_callback(wanted.callback_url)
    job, attempt = mock.jobs.find(wanted.external_task_id, wanted.prompt)
    generation = Generation(
        id=new_task_id(),
        external_id=wanted.external_task_id,
        job=job,
        attempt=attempt,
        prompt=wanted.prompt,
        style="",
        tag=find_tag(request, wanted.prompt),
        base_url=base_url(request),
        token=slot_token(request),
        callback_url=wanted.callback_url,
        image_source=wanted.image_url or _decoded(wanted.image),
        detail={"duration": wanted.duration, "mode": wanted.mode, "strict": True},
    )
    admission = build_admission(mock, _created, shape=native_refusal)
    return await submit(mock, generation, reply=_created, admission=admission, shape=native_refusal)


@router.get("/v1/videos/image2video/{any_id}", responses=_ERRORS)
async def query_task(request: Request, mock: TheMock, any_id: str) -> Response:
    """One task, by `task_id` or `external_task_id`."""
    base = base_url(request)
    return await look_up(
        mock,
        mock.ledger.find(any_id),
        reply=lambda it, view: _succeed(_queried(it, view, base)),
        shape=native_refusal,
    )


@router.get("/v1/videos/image2video", responses=_ERRORS)
async def list_tasks(
    request: Request,
    mock: TheMock,
    page: Annotated[int, Query(alias="pageNum", ge=1, le=1000)] = 1,
    size: Annotated[int, Query(alias="pageSize", ge=1, le=500)] = 30,
) -> Response:
    """Tasks, the newest first."""
    base = base_url(request)
    start = (page - 1) * size
    rows = itertools.islice(mock.ledger.newest(), start, start + size)
    return _succeed([_queried(row, _truth(row), base) for row in rows])


@router.get("/account/costs", responses=_ERRORS)
async def costs(
    request: Request,
    mock: TheMock,
    start_time: Annotated[int, Query(ge=0, le=10**14)],
    end_time: Annotated[int, Query(ge=0, le=10**14)],
    resource_pack_name: str = "",
) -> Response:
    """The resource packs; at most one request a second, and figures that lag 12 hours."""
    if end_time < start_time:
        return native_refusal(None, _BAD_MEMBER, "end_time lies before start_time", {})
    book: Costs = request.app.state.costs
    if not book.may_ask(mock.clock.now()):
        return native_refusal(None, 1302, None, {})
    packs = book.packs(mock.ledger, mock.clock, named=resource_pack_name)
    infos = {"code": 0, "msg": "SUCCEED", "resource_pack_subscribe_infos": packs}
    return _succeed(infos)


async def _read(request: Request) -> CreateTask:
    try:
        wanted = CreateTask.model_validate_json(await _body(request))
    except ValidationError as error:
        first = error.errors()[0]
        code = _BAD_BODY if first["type"] == "json_invalid" or not first["loc"] else _BAD_MEMBER
        mistakes = "; ".join(
            f"{'.'.join(str(part) for part in item['loc']) or 'body'}: {item['msg']}"
            for item in error.errors()
        )
        raise Problem(400, code, detail=mistakes) from error
    if wanted.model_name not in MODELS:
        raise Problem(404, _NO_MODEL, detail=f"model {wanted.model_name[:100]} does not exist")
    return wanted


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_BODY:
            raise Problem(400, _BAD_BODY, detail="the request is too large")
    return bytes(body)


def _decoded(image: str) -> bytes:
    try:
        picture = decode(image)
        check(picture)
    except BadPicture as error:
        raise Problem(400, _BAD_MEMBER, detail=str(error)) from error
    return picture


def _truth(generation: Generation) -> View:
    return View(generation.state, None, generation.error, generation.file_name)


def _succeed(data: object) -> Response:
    return JSONResponse({"code": 0, "message": "SUCCEED", "request_id": request_id(), "data": data})


def _created(generation: Generation) -> Response:
    return _succeed(_common(generation, _truth(generation)))


def _common(generation: Generation, view: View) -> dict[str, Any]:
    return {
        "task_id": generation.id,
        "task_status": view.word or WORDS[view.state],
        "task_info": {"external_task_id": generation.external_id},
        "created_at": milliseconds(generation.accepted or generation.updated),
        "updated_at": milliseconds(generation.updated),
    }


def _queried(generation: Generation, view: View, base: str) -> dict[str, Any]:
    return {
        **_common(generation, view),
        "task_status_msg": view.error or "",
        "final_unit_deduction": units(generation),
        "task_result": {"videos": videos(generation, view.file_name, base)},
    }
