"""The vendor's own wire (documented, not captured): keys, tokens, tasks, the account."""

import itertools
import time
from typing import Annotated, Any, Literal

import jwt
from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from starlette.responses import JSONResponse, Response

from services.mock_core.calls import base_url, look_up
from services.mock_core.mock import TheMock
from services.mock_core.problems import in_words_of
from services.mock_kling.routes import BAD_MEMBER, Url, order, refused, resolve
from services.mock_kling.settings import config_of
from services.mock_kling.tasks import FIRST_MODEL, MODELS, created, packs, refusal, task_body
from services.mock_kling.video import BadPicture, check, decode

PREFIXES = ("/v1/", "/account/")
WRONG, EMPTY, INVALID, NOT_YET_VALID, EXPIRED = 1000, 1001, 1002, 1003, 1004
BAD_BODY, NO_METHOD, NO_RESOURCE = 1200, 1202, 1203
_requests = itertools.count(1)


async def authorized(request: Request, mock: TheMock) -> None:
    """Refuse unknown callers before the body is read; raise a Problem."""
    config, header = config_of(mock), request.headers.get("authorization")
    kind, _, token = (header or "").partition(" ")
    if not header or kind.lower() != "bearer":
        raise refused(INVALID if header else EMPTY)
    token = token.strip()
    # Not a JWT.
    if token.count(".") != 2:
        if token != config.api_key:
            raise refused(INVALID, "api key not found")
        return
    try:
        # Its times are judged below, by another clock.
        times = {"verify_exp": False, "verify_nbf": False, "verify_iat": False}
        claims = jwt.decode(token, config.secret_key, algorithms=["HS256"], options=times)  # type: ignore[arg-type]
    except jwt.InvalidSignatureError:
        raise refused(WRONG) from None
    except (jwt.InvalidTokenError, ValueError):
        raise refused(INVALID) from None
    if claims.get("iss") != config.access_key:
        raise refused(WRONG)
    begins, ends = claims.get("nbf", 0), claims.get("exp", 0)
    if any(isinstance(it, bool) or not isinstance(it, int | float) for it in (begins, ends)):
        raise refused(INVALID)
    now = time.time() + config.clock_skew
    if begins > now:
        raise refused(NOT_YET_VALID)
    if now >= ends:
        raise refused(EXPIRED)


def _reply(code: int | str, message: str) -> dict[str, Any]:
    """Return the envelope of every answer, with a new id for each."""
    return {"code": int(code), "message": message, "request_id": f"req-{next(_requests):012d}"}


def succeed(data: object) -> Response:
    return JSONResponse({**_reply(0, "SUCCEED"), "data": data})


def refuse(
    status: int | None, code: int | str | None, message: str | None, headers: dict[str, str]
) -> Response:
    """Send an error without `data`; missing members come from the table."""
    if code is not None and not str(code).isdecimal():
        code = None
    # The framework's refusals in the vendor's words: a bad member or body, a bad method.
    if status in (413, 422):
        is_whole = status == 413 or (message or "").startswith("body: ")
        status, code = 400, BAD_BODY if is_whole else BAD_MEMBER
    elif status == 405:
        status, code = 404, NO_METHOD
    status, code, usual = resolve(status, code)
    return JSONResponse(_reply(code, message or usual), status_code=status, headers=headers)


ERRORS = in_words_of(
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
router = APIRouter(tags=["native"], dependencies=[Depends(authorized)])
# An empty text counts as missing, as in the vendor's own examples.
_or_none = BeforeValidator(lambda value: value or None)
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
    callback_url: Annotated[Url | None, _or_none] = None
    external_task_id: Annotated[Annotated[str, Field(max_length=255)] | None, _or_none] = None


@router.post("/v1/videos/image2video", responses=ERRORS)
async def create_task(request: Request, mock: TheMock, wanted: CreateTask) -> Response:
    """Create a task."""
    if wanted.model_name not in MODELS:
        raise refused(NO_RESOURCE, f"model {wanted.model_name[:100]} does not exist")
    reason = refusal(model=wanted.model_name, mode=wanted.mode, seconds=int(wanted.duration))
    if reason is not None:
        raise refused(BAD_MEMBER, reason)
    image, *_ = [_picture(image) for image in (wanted.image, wanted.image_tail) if image]
    return await order(
        request,
        mock,
        external_id=wanted.external_task_id,
        prompt=wanted.prompt,
        image=image,
        callback_url=wanted.callback_url,
        detail={"mode": wanted.mode, "duration": wanted.duration, "strict": True},
        reply=lambda it: succeed(created(it)),
        shape=refuse,
    )


def _picture(image: str) -> str | bytes:
    if image.startswith(("http://", "https://")):
        return image
    try:
        found = decode(image)
        check(found)
    except BadPicture as error:
        raise refused(BAD_MEMBER, str(error)) from error
    return found


@router.get("/v1/videos/image2video/{any_id}", responses=ERRORS)
async def query_task(request: Request, mock: TheMock, any_id: str) -> Response:
    """One task, by `task_id` or `external_task_id`."""
    base, task = base_url(request), mock.ledger.find(any_id)
    return await look_up(
        mock, task, reply=lambda it, view: succeed(task_body(it, view, base)), shape=refuse
    )


@router.get("/account/costs", responses=ERRORS)
async def costs(
    mock: TheMock,
    start_time: Annotated[int, Query(ge=0, le=10**14)],
    end_time: Annotated[int, Query(ge=0, le=10**14)],
) -> Response:
    """The resource pack."""
    if end_time < start_time:
        return refuse(None, BAD_MEMBER, "end_time lies before start_time", {})
    listed = packs(mock.ledger)
    return succeed({"code": 0, "msg": "success", "resource_pack_subscribe_infos": listed})
