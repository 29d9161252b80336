"""The vendor's own wire, second generation (documented, not captured): create, and query by ids.

The model is in the path. An id that nobody knows is no error: the list is shorter by it. Pictures
have the bounds of the first generation.
"""

from collections.abc import Iterable
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from services.mock_core.exchange.status import look_up
from services.mock_core.exchange.view import View, view_of
from services.mock_core.http.headers import base_url
from services.mock_core.ledger.generation import Generation
from services.mock_core.mock import TheMock
from services.mock_kling.admission import take
from services.mock_kling.catalogue import IN_PATH
from services.mock_kling.native.contents import MODES, SECOND, CreateFromContents
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
from services.mock_kling.tasks import created, told

PREFIXES = ("/image-to-video/", "/tasks")
_WORDS = {"succeed": "succeeded"}
router = APIRouter(tags=["native"], dependencies=[Authorized])


@router.post("/image-to-video/{model}", openapi_extra=body_of(CreateFromContents), responses=ERRORS)
async def create_task_of_model(request: Request, mock: TheMock, model: str) -> Response:
    """Create a task of the model that the path names."""
    wanted = await read(request, CreateFromContents)
    detail = wanted.detail(model)
    check_order(
        IN_PATH.get(model),
        model,
        mode=MODES[wanted.settings.resolution],
        seconds=wanted.settings.duration,
        sound=wanted.settings.audio == "native",
        last_frame=bool(wanted.last_frame),
    )
    frames = (wanted.first_frame, wanted.last_frame)
    image, *_ = [picture(frame) for frame in frames if frame]
    generation = ordered(
        request,
        mock,
        external_id=wanted.options.external_task_id,
        prompt=wanted.prompt,
        image=image,
        callback_url=wanted.options.callback_url,
        public=settings_of(mock).public_callbacks,
        detail=detail,
    )
    return await take(request, generation, reply=_created, shape=refuse)


@router.get("/tasks", responses=ERRORS)
async def query_tasks(
    request: Request, mock: TheMock, task_ids: str = "", external_task_ids: str = ""
) -> Response:
    """Tasks by the vendor's ids or the caller's, separated by commas; faults meet one alone."""
    if bool(task_ids) == bool(external_task_ids):
        return refuse(None, BAD_MEMBER, "task_ids or external_task_ids is required", {})
    base = base_url(request)
    tasks = [
        task
        for asked in (task_ids or external_task_ids).split(",")
        if (task := found(mock, asked)) is not None
        and asked == (task.id if task_ids else task.external_id)
    ]
    if len(tasks) == 1:
        return await look_up(
            mock,
            tasks[0],
            reply=lambda it, view: succeed([_told(it, view, base)]),
            shape=_refuse_unless_forgotten,
        )
    now = mock.clock.now()
    return succeed([_told(task, view_of(task, now), base) for task in tasks])


def callback_body(generation: Generation, flat: dict[str, Any]) -> dict[str, Any]:
    """A callback in the form of the generation that its task was ordered by."""
    return in_second_form(flat) if generation.detail.get("generation") == SECOND else flat


def in_second_form(task: dict[str, Any]) -> dict[str, Any]:
    """What the first generation tells of a task, in the words of the second."""
    rest = dict(task)
    word = rest.pop("task_status")
    videos = rest.pop("task_result")["videos"]
    return {
        "id": rest.pop("task_id"),
        "status": _WORDS.get(word, word),
        "message": rest.pop("task_status_msg"),
        "create_time": rest.pop("created_at"),
        "update_time": rest.pop("updated_at"),
        "external_id": rest.pop("task_info")["external_task_id"] or "",
        "outputs": [{"type": "video", **video, "watermark_url": ""} for video in videos],
        "billing": list(_billed(rest.pop("final_unit_deduction"))),
        **rest,
    }


def _billed(amount: str) -> Iterable[dict[str, str]]:
    """Nothing is, for a task that has not ended well."""
    if amount != "0":
        yield {"charge_type": "unit", "amount": amount, "package_type": "video"}


def _created(generation: Generation) -> Response:
    flat = created(generation)
    return succeed(
        {
            "id": flat["task_id"],
            "status": flat["task_status"],
            "create_time": flat["created_at"],
            "update_time": flat["updated_at"],
            "external_id": generation.external_id or "",
        }
    )


def _told(generation: Generation, view: View, base: str) -> dict[str, Any]:
    return in_second_form(told(generation, view, base))


def _refuse_unless_forgotten(
    status: int | None, code: int | str | None, message: str | None, headers: dict[str, str]
) -> Response:
    return succeed([]) if code == "not_found" else refuse(status, code, message, headers)
