"""The vendor's own wire (documented, not captured): create, query, list, balance."""

import itertools
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from starlette.responses import Response

from services.mock_core.calls import base_url, look_up
from services.mock_core.mock import TheMock
from services.mock_core.problems import Problem
from services.mock_kling.native.wire import (
    BAD_MEMBER,
    ERRORS,
    NO_RESOURCE,
    Authorized,
    found,
    refuse,
    settings_of,
    succeed,
)
from services.mock_kling.orders import ordered, take
from services.mock_kling.tasks import FIRST_MODEL, MODELS, Account, created, task_body, truth
from services.mock_kling.video import BadPicture, check, decode

# An empty text counts as missing, as in the vendor's own examples.
_or_none = BeforeValidator(lambda value: value or None)
CallbackUrl = Annotated[
    Annotated[str, Field(pattern=r"^https?://[^\s/]+", max_length=2048)] | None, _or_none
]
ExternalId = Annotated[Annotated[str, Field(max_length=255)] | None, _or_none]


def picture(image: str) -> str | bytes:
    """Return the address, or the decoded picture; raise a Problem (1201) for an invalid one."""
    if image.startswith(("http://", "https://")):
        return image
    try:
        found = decode(image)
        check(found)
    except BadPicture as error:
        raise Problem(400, BAD_MEMBER, detail=str(error)) from error
    return found


Text = Annotated[str, Field(max_length=2500)]


class CreateTask(BaseModel):
    """Unknown members are ignored, because the vendor adds some often."""

    model_config = ConfigDict(protected_namespaces=())

    model_name: str = FIRST_MODEL
    image: Annotated[str, Field(min_length=1)]
    image_tail: str | None = None
    prompt: Text = ""
    negative_prompt: Text = ""
    cfg_scale: Annotated[float, Field(ge=0, le=1)] = 0.5
    mode: Literal["std", "pro", "4k"] = "std"
    duration: Annotated[str, Field(pattern=r"^([3-9]|1[0-5])$")] = "5"
    sound: Literal["on", "off"] = "off"
    callback_url: CallbackUrl = None
    external_task_id: ExternalId = None

    @property
    def detail(self) -> dict[str, Any]:
        """Return what the price depends on."""
        return {
            "model": self.model_name,
            "mode": self.mode,
            "duration": self.duration,
            "sound": self.sound,
            "strict": True,
        }


PREFIXES = ("/v1/", "/account/")
TOO_FAST = 1302
router = APIRouter(tags=["native"], dependencies=[Authorized])


@router.post("/v1/videos/image2video", responses=ERRORS)
async def create_task(request: Request, mock: TheMock, wanted: CreateTask) -> Response:
    """Create a task."""
    model = MODELS.get(wanted.model_name)
    if model is None:
        detail = f"model {wanted.model_name[:100]} does not exist"
        raise Problem(404, NO_RESOURCE, detail=detail)
    reason = model.refusal(
        mode=wanted.mode,
        seconds=int(wanted.duration),
        sound=wanted.sound == "on",
        last_frame=bool(wanted.image_tail),
    )
    if reason is not None:
        raise Problem(400, BAD_MEMBER, detail=reason)
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
        reply=lambda it, view: succeed(task_body(it, view, base)),
        shape=refuse,
    )


@router.get("/v1/videos/image2video", responses=ERRORS)
async def list_tasks(
    request: Request,
    mock: TheMock,
    page: Annotated[int, Query(alias="pageNum", ge=1, le=1000)] = 1,
    size: Annotated[int, Query(alias="pageSize", ge=1, le=500)] = 30,
) -> Response:
    """Tasks, newest first."""
    base = base_url(request)
    start = (page - 1) * size
    rows = itertools.islice(mock.ledger.newest(), start, start + size)
    return succeed([task_body(row, truth(row), base) for row in rows])


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
