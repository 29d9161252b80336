"""The vendor's own wire (documented, not captured): create, query, list, balance."""

import itertools
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import ValidationError
from starlette.responses import Response

from services.mock_core.exchange.status import look_up
from services.mock_core.exchange.view import View
from services.mock_core.http.headers import base_url
from services.mock_core.http.problems import Problem
from services.mock_core.ledger.generation import Generation
from services.mock_core.lib.times import milliseconds
from services.mock_core.mock import TheMock
from services.mock_kling.account import Account
from services.mock_kling.admission import take
from services.mock_kling.catalogue import MODELS
from services.mock_kling.native.models import CreateTask
from services.mock_kling.native.wire import (
    BAD_BODY,
    BAD_MEMBER,
    ERRORS,
    NO_RESOURCE,
    Authorized,
    found,
    refuse,
    settings_of,
    succeed,
)
from services.mock_kling.orders import ordered
from services.mock_kling.tasks import WORDS, units, videos
from services.mock_kling.video.pictures import BadPicture, check, decode

PREFIXES = ("/v1/", "/account/")
_MAX_BODY = 16_000_000

router = APIRouter(tags=["native"], dependencies=[Authorized])
_CREATE = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": CreateTask.model_json_schema()}},
    },
    "security": [{"bearer": []}],
}


@router.post("/v1/videos/image2video", openapi_extra=_CREATE, responses=ERRORS)
async def create_task(request: Request, mock: TheMock) -> Response:
    """Create a task."""
    wanted = await _read(request)
    pictures = [_picture(image) for image in (wanted.image, wanted.image_tail) if image]
    generation = ordered(
        request,
        mock,
        external_id=wanted.external_task_id,
        prompt=wanted.prompt,
        image=pictures[0],
        callback_url=wanted.callback_url,
        public=settings_of(mock).public_callbacks,
        detail=wanted.detail,
    )
    return await take(request, generation, reply=_created, shape=refuse)


@router.get("/v1/videos/image2video/{any_id}", responses=ERRORS)
async def query_task(request: Request, mock: TheMock, any_id: str) -> Response:
    """One task, by `task_id` or `external_task_id`."""
    base = base_url(request)
    return await look_up(
        mock,
        found(mock, any_id),
        reply=lambda it, view: succeed(_queried(it, view, base)),
        shape=refuse,
    )


@router.get("/v1/videos/image2video", responses=ERRORS)
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
    return succeed([_queried(row, _truth(row), base) for row in rows])


@router.get("/account/costs", responses=ERRORS)
async def costs(
    request: Request,
    mock: TheMock,
    start_time: Annotated[int, Query(ge=0, le=10**14)],
    end_time: Annotated[int, Query(ge=0, le=10**14)],
    resource_pack_name: str = "",
) -> Response:
    """The resource packs; at most one request a second, and figures that lag 12 hours."""
    if end_time < start_time:
        return refuse(None, BAD_MEMBER, "end_time lies before start_time", {})
    account: Account = request.app.state.account
    if not account.may_ask(mock.clock.now()):
        return refuse(None, 1302, None, {})
    pack = settings_of(mock).pack
    packs = account.packs(mock.ledger, mock.clock, pack=pack, named=resource_pack_name)
    return succeed({"code": 0, "msg": "success", **packs})


async def _read(request: Request) -> CreateTask:
    try:
        wanted = CreateTask.model_validate_json(await _body(request))
    except ValidationError as error:
        first = error.errors()[0]
        code = BAD_BODY if first["type"] == "json_invalid" or not first["loc"] else BAD_MEMBER
        mistakes = "; ".join(
            f"{'.'.join(str(part) for part in item['loc']) or 'body'}: {item['msg']}"
            for item in error.errors()
        )
        raise Problem(400, code, detail=mistakes) from error
    _check_model(wanted)
    return wanted


def _check_model(wanted: CreateTask) -> None:
    model = MODELS.get(wanted.model_name)
    if model is None:
        raise Problem(404, NO_RESOURCE, detail=f"model {wanted.model_name[:100]} does not exist")
    reason = model.refusal(
        mode=wanted.mode,
        seconds=int(wanted.duration),
        sound=wanted.sound == "on",
        last_frame=bool(wanted.image_tail),
    )
    if reason is not None:
        raise Problem(400, BAD_MEMBER, detail=reason)


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_BODY:
            raise Problem(400, BAD_BODY, detail="the request is too large")
    return bytes(body)


def _picture(image: str) -> str | bytes:
    """The address as it is, or the picture; Problem (1201) where the vendor takes no such one."""
    if image.startswith(("http://", "https://")):
        return image
    try:
        picture = decode(image)
        check(picture)
    except BadPicture as error:
        raise Problem(400, BAD_MEMBER, detail=str(error)) from error
    return picture


def _truth(generation: Generation) -> View:
    return View(generation.state, None, generation.error, generation.file_name)


def _created(generation: Generation) -> Response:
    return succeed(_common(generation, _truth(generation)))


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
