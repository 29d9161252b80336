"""The vendor's own wire (documented, not captured): create, query, list, balance."""

import itertools
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from services.mock_core.exchange.status import look_up
from services.mock_core.headers import base_url
from services.mock_core.mock import TheMock
from services.mock_kling.account import Account
from services.mock_kling.admission import take
from services.mock_kling.catalogue import MODELS
from services.mock_kling.native.models import CreateTask
from services.mock_kling.native.reading import check_order, picture, read
from services.mock_kling.native.wire import (
    BAD_MEMBER,
    ERRORS,
    Authorized,
    body_of,
    found,
    refuse,
    settings_of,
    succeed,
)
from services.mock_kling.orders import ordered
from services.mock_kling.tasks import created, told, truth

PREFIXES = ("/v1/", "/account/")
TOO_FAST = 1302
router = APIRouter(tags=["native"], dependencies=[Authorized])


@router.post("/v1/videos/image2video", openapi_extra=body_of(CreateTask), responses=ERRORS)
async def create_task(request: Request, mock: TheMock) -> Response:
    """Create a task."""
    wanted = await read(request, CreateTask)
    check_order(
        MODELS.get(wanted.model_name),
        wanted.model_name,
        mode=wanted.mode,
        seconds=int(wanted.duration),
        sound=wanted.sound == "on",
        last_frame=bool(wanted.image_tail),
    )
    image, *_ = [picture(image) for image in (wanted.image, wanted.image_tail) if image]
    generation = ordered(
        request,
        mock,
        external_id=wanted.external_task_id,
        prompt=wanted.prompt,
        image=image,
        callback_url=wanted.callback_url,
        public=settings_of(mock).public_callbacks,
        detail=wanted.detail,
    )
    return await take(request, generation, reply=lambda it: succeed(created(it)), shape=refuse)


@router.get("/v1/videos/image2video/{any_id}", responses=ERRORS)
async def query_task(request: Request, mock: TheMock, any_id: str) -> Response:
    """One task, by `task_id` or `external_task_id`."""
    base = base_url(request)
    return await look_up(
        mock,
        found(mock, any_id),
        reply=lambda it, view: succeed(told(it, view, base)),
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
    return succeed([told(row, truth(row), base) for row in rows])


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
        return refuse(None, TOO_FAST, None, {})
    pack = settings_of(mock).pack
    packs = account.packs(mock.ledger, mock.clock, pack=pack, named=resource_pack_name)
    return succeed({"code": 0, "msg": "success", **packs})
