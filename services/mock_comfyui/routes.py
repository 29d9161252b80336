"""The contract's image wire: submit, status, result, cancel, and the finished files."""

import uuid
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from starlette.responses import JSONResponse, Response

from services.mock_core.calls import (
    Accepted,
    View,
    add_files,
    base_url,
    ids_of,
    look_up,
    requested,
    submit,
)
from services.mock_core.ledger import Generation, State
from services.mock_core.mock import TheMock
from services.mock_core.problems import Problem, documented

router = APIRouter(tags=["image"])
_STATES = {State.CANCELLED: "failed"}


class ImageRequest(BaseModel):
    prompt: Annotated[str, Field(min_length=1, max_length=2500)]
    style: Annotated[str, Field(max_length=500)] = ""
    client_id: Annotated[str, Field(min_length=1, max_length=255)] | None = None


class ImageStatus(BaseModel):
    job_id: str
    external_id: str | None = None
    status: str
    percent: int
    error: str | None = None


class ImageResult(BaseModel):
    job_id: str
    external_id: str | None = None
    asset_url: str


@router.post(
    "/img/submit",
    status_code=202,
    response_model=Accepted,
    responses=documented(422),
)
async def submit_image(request: Request, mock: TheMock, wanted: ImageRequest) -> Response:
    """Accept a generation; the same `client_id` twice runs twice, as at the real service."""
    generation = requested(
        request,
        mock,
        id_=str(uuid.uuid4()),
        external_id=wanted.client_id,
        prompt=wanted.prompt,
        style=wanted.style,
    )
    return await submit(
        mock, generation, reply=lambda it: JSONResponse(ids_of(it), status_code=202)
    )


@router.get("/img/status/{job_id:path}", response_model=ImageStatus, responses=documented(404))
async def image_status(mock: TheMock, job_id: str) -> Response:
    """The state of a generation; by the vendor's id or the caller's."""
    return await look_up(mock, mock.ledger.find(job_id), reply=_status)


@router.get(
    "/img/result/{job_id:path}",
    response_model=ImageResult,
    responses=documented(404, 409),
)
async def image_result(request: Request, mock: TheMock, job_id: str) -> Response:
    """The address of the picture, 409 while there is none."""
    base = base_url(request)
    generation = mock.ledger.find(job_id)
    return await look_up(mock, generation, reply=lambda it, view: _result(it, view, base))


add_files(router, "/img/files/{name:path}", "image/png")


def _status(generation: Generation, view: View) -> Response:
    body: dict[str, Any] = {
        **ids_of(generation),
        "status": view.word or _STATES.get(view.state, str(view.state)),
        "percent": view.percent,
    }
    if view.error is not None:
        body["error"] = view.error
    return JSONResponse(body)


def _result(generation: Generation, view: View, base: str) -> Response:
    if view.state is not State.SUCCEEDED:
        raise Problem(409, "not_finished", detail=f"the job is {view.state}")
    body = ids_of(generation)
    if view.file_name is not None:
        body["asset_url"] = f"{base}/img/files/{view.file_name}"
    return JSONResponse(body)
