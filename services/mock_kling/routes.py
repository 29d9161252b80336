"""The contract's video wire: submit, status, and the finished files."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Request
from pydantic import BaseModel, Field
from starlette.responses import JSONResponse, Response

from services.mock_core.calls import View, base_url, ids_of, look_up, serve_file
from services.mock_core.ledger import Generation
from services.mock_core.mock import TheMock
from services.mock_core.problems import documented
from services.mock_kling.orders import order
from services.mock_kling.tasks import FILES, WORDS

router = APIRouter(tags=["video"])
Url = Annotated[str, Field(pattern=r"^https?://[^\s/]+", max_length=2048)]


class VideoRequest(BaseModel):
    image_url: Url
    prompt: Annotated[str, Field(max_length=2500)] = ""
    duration: Literal["5", "10"] = "5"
    callback_url: Url | None = None
    external_task_id: Annotated[str, Field(min_length=1, max_length=255)] | None = None


class Accepted(BaseModel):
    job_id: str
    external_id: str | None = None


class VideoStatus(BaseModel):
    job_id: str
    external_id: str | None = None
    status: Literal["submitted", "processing", "succeed", "failed"]
    percent: int
    video_url: str | None = None
    message: str | None = None


@router.post(
    "/video/submit",
    status_code=202,
    response_model=Accepted,
    responses=documented(400, 422, 429),
)
async def submit_video(request: Request, mock: TheMock, wanted: VideoRequest) -> Response:
    """Accept a task; a second one of the same `external_task_id` is refused with 400, code 1201."""
    return await order(
        request,
        mock,
        external_id=wanted.external_task_id,
        prompt=wanted.prompt,
        image=wanted.image_url,
        callback_url=wanted.callback_url,
        detail={"duration": wanted.duration},
        reply=lambda it: JSONResponse(ids_of(it), status_code=202),
        shape=mock.refusal,
    )


@router.get(
    "/video/status/{job_id}",
    response_model=VideoStatus,
    response_model_exclude_none=True,
    responses=documented(404),
)
async def video_status(request: Request, mock: TheMock, job_id: str) -> Response:
    """The state of a task; by the vendor's id or the caller's."""
    base = base_url(request)

    def reply(generation: Generation, view: View) -> Response:
        body: dict[str, Any] = {
            **ids_of(generation),
            "status": view.word or WORDS[view.state],
            "percent": view.percent,
        }
        if view.file_name is not None:
            body["video_url"] = f"{base}{FILES}{view.file_name}"
        if view.error is not None:
            body["message"] = view.error
        return JSONResponse(body)

    return await look_up(mock, mock.ledger.find(job_id), reply=reply)


@router.get(
    "/video/files/{name}",
    response_class=Response,
    responses={
        200: {"content": {"video/mp4": {}}},
        206: {"content": {"video/mp4": {}}},
        **documented(404, 416),
    },
)
async def video_file(
    mock: TheMock, name: str, range_: Annotated[str | None, Header(alias="Range")] = None
) -> Response:
    """The video, whole or in a range."""
    return await serve_file(mock, name, range_header=range_)
