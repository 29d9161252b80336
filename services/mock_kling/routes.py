"""The contract's video wire, and what the vendor refuses on either wire, with which code."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from starlette.responses import JSONResponse, Response

from services.mock_core.calls import (
    Accepted,
    Reply,
    View,
    add_files,
    base_url,
    ids_of,
    look_up,
    requested,
    submit,
)
from services.mock_core.client import may_call
from services.mock_core.ledger import Generation
from services.mock_core.mock import Mock, TheMock
from services.mock_core.problems import Problem, documented, problem_reply
from services.mock_kling.settings import config_of
from services.mock_kling.tasks import FILES, WORDS, new_task_id
from shared.http.problems import Shape

router = APIRouter(tags=["video"])
Url = Annotated[str, Field(pattern=r"^https?://[^\s/]+", max_length=2048)]


class VideoRequest(BaseModel):
    image_url: Url
    prompt: Annotated[str, Field(max_length=2500)] = ""
    duration: Literal["5", "10"] = "5"
    callback_url: Url | None = None
    external_task_id: Annotated[str, Field(min_length=1, max_length=255)] | None = None


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
    "/video/status/{job_id:path}",
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


add_files(router, "/video/files/{name}", "video/mp4")


CODES: dict[int, tuple[int, str]] = {
    1000: (401, "authentication failed"),
    1001: (401, "authorization is empty"),
    1002: (401, "authorization is invalid"),
    1003: (401, "authorization is not yet valid"),
    1004: (401, "authorization has expired"),
    1100: (429, "account exception"),
    1101: (429, "account in arrears"),
    1102: (429, "resource pack is used up or has expired"),
    1103: (403, "no right to this resource"),
    1200: (400, "invalid request parameters"),
    1201: (400, "invalid parameters"),
    1202: (404, "the requested method is invalid"),
    1203: (404, "the requested resource does not exist"),
    1300: (400, "the platform's policy was triggered"),
    1301: (400, "the content security policy was triggered"),
    1302: (429, "too many requests"),
    1303: (429, "parallel tasks over the limit of the resource pack"),
    1304: (429, "the IP address is not on the whitelist"),
    5000: (500, "internal error"),
    5001: (503, "service temporarily unavailable"),
    5002: (504, "internal time-out"),
}
_BY_STATUS = {400: 1200, 401: 1000, 403: 1103, 404: 1203, 429: 1302, 503: 5001, 504: 5002}
BAD_MEMBER = DUPLICATE = 1201


def resolve(status: int | None, code: int | str | None) -> tuple[int, int | str, str]:
    """Fill in status, code and message of a refusal; 5001 by default."""
    if code is None:
        code = _BY_STATUS.get(status or 503, 5000)
    usual, message = CODES.get(int(code) if str(code).isdecimal() else 0, (503, "refused"))
    return status or usual, code, message


def refused(code: int, detail: str | None = None) -> Problem:
    """Return a Problem with this code; the vendor's table has its status and usual message."""
    status, _, usual = resolve(None, code)
    return Problem(status, code, detail=detail or usual)


def refuse(
    status: int | None, code: int | str | None, message: str | None, headers: dict[str, str]
) -> Response:
    """Send a refusal of the plain wire; the vendor's table fills in missing members."""
    status, code, usual = resolve(status, code)
    return problem_reply(status, code, detail=message or usual, headers=headers)


async def order(
    request: Request,
    mock: Mock,
    *,
    external_id: str | None,
    prompt: str,
    image: str | bytes,
    callback_url: str | None,
    detail: dict[str, Any],
    reply: Reply,
    shape: Shape,
) -> Response:
    """Accept a task, or refuse it in the form of the wire; `image` is an address or the picture.

    Raises a Problem (1201) if the callback address is not allowed.
    """
    hosts = request.app.state.callback_hosts
    if callback_url is not None and not may_call(callback_url, hosts):
        raise refused(BAD_MEMBER, "the callback_url's host is not in MOCK_CALLBACK_HOSTS")
    wanted = requested(request, mock, id_=new_task_id(), external_id=external_id, prompt=prompt)
    wanted.callback_url, wanted.image_source, wanted.detail = callback_url, image, detail
    taken = shape(None, DUPLICATE, "external_task_id is already in use", {})
    duplicate = None if config_of(mock).duplicates == "accept" else taken
    return await submit(mock, wanted, reply=reply, duplicate=duplicate, shape=shape)
