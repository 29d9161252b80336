"""fal's queue (documented, not captured): submit, status, response, cancel, and the webhooks' keys.

It has no id of the caller's: the ledger takes it from `task` in the webhook's query. A cancel ends
a request at once, whether it runs or waits, and no webhook tells of it.
"""

import uuid
from typing import Annotated, Any, cast
from urllib.parse import parse_qs, urlsplit

from fastapi import APIRouter, Body, Depends, Request
from starlette.responses import JSONResponse, Response

from services.mock_core.exchange.status import look_up
from services.mock_core.exchange.submit import submit
from services.mock_core.http.documented import JSON, Responses, in_words_of
from services.mock_core.http.headers import base_url
from services.mock_core.http.problems import Problem
from services.mock_core.ledger.generation import Generation, State
from services.mock_core.mock import Mock, TheMock
from services.mock_kling.config import KlingConfig
from services.mock_kling.errors import resolve
from services.mock_kling.fal import answers
from services.mock_kling.fal.inputs import Inputs, read
from services.mock_kling.orders import ordered

PREFIX = "/fal/"
_OURS = "task"
_USUAL = {401: "Authentication is required", 404: "no such job", 422: "body: must be an object"}
ERRORS = in_words_of(
    {
        "type": "object",
        "properties": {"detail": {}},
        "required": ["detail"],
    },
    *(400, 401, 404, 422, 429, 500, 503, 504),
    example=lambda status: {"detail": _USUAL.get(status) or resolve(status, None)[2]},
)
_OPEN: Responses = {
    202: {"description": "It waits or is at work", "content": {JSON: {"schema": {}}}},
}
keys = APIRouter(tags=["fal"])


async def authorized(request: Request, mock: TheMock) -> None:
    """`Authorization: Key …`."""
    key = cast(KlingConfig, mock.config).fal_key
    if request.headers.get("authorization") != f"Key {key}":
        raise Problem(401, "unauthorized", detail="Authentication is required")


router = APIRouter(tags=["fal"], dependencies=[Depends(authorized)])


@keys.get("/fal/.well-known/jwks.json")
async def web_keys(request: Request) -> dict[str, Any]:
    """The public key that webhooks are signed with."""
    return dict(request.app.state.signer.keys())


@router.post("/fal/{owner}/{alias}/{endpoint:path}", responses=ERRORS)
async def submit_request(
    request: Request,
    mock: TheMock,
    owner: str,
    alias: str,
    endpoint: str,
    inputs: Annotated[dict[str, Any], Body()],
    fal_webhook: str | None = None,
) -> Response:
    """Put a call of a model into the queue, whatever its inputs."""
    found = read(inputs)
    wanted = found if isinstance(found, Inputs) else None
    generation = ordered(
        request,
        mock,
        external_id=_external_id(fal_webhook),
        prompt=wanted.prompt if wanted else str(inputs.get("prompt", "")),
        image=wanted.image if wanted else "",
        callback_url=fal_webhook,
        detail={
            "wire": answers.WIRE,
            "app": f"{owner}/{alias}",
            "endpoint": endpoint,
            **({"duration": wanted.duration} if wanted else {answers.WRONG: found}),
        },
    )
    generation.id = str(uuid.uuid4())
    return await submit(mock, generation, reply=lambda it: _queued(mock, it), shape=answers.refuse)


@router.get("/fal/{owner}/{alias}/requests/{request_id}/status", responses={**_OPEN, **ERRORS})
async def request_status(mock: TheMock, owner: str, alias: str, request_id: str) -> Response:
    """How a request stands."""
    found = _found(mock, f"{owner}/{alias}", request_id)
    return await look_up(
        mock,
        found,
        reply=lambda it, view: answers.status(it, view, position=_position(mock, it)),
        shape=answers.refuse,
    )


@router.get("/fal/{owner}/{alias}/requests/{request_id}", responses=ERRORS)
async def request_response(
    request: Request, mock: TheMock, owner: str, alias: str, request_id: str
) -> Response:
    """What came of a request."""
    base = base_url(request)
    return await look_up(
        mock,
        _found(mock, f"{owner}/{alias}", request_id),
        reply=lambda it, view: answers.response(it, view, base),
        shape=answers.refuse,
    )


@router.put(
    "/fal/{owner}/{alias}/requests/{request_id}/cancel",
    status_code=202,
    responses=ERRORS,
)
async def cancel_request(mock: TheMock, owner: str, alias: str, request_id: str) -> Response:
    """Ask for the end of a request."""
    found = _found(mock, f"{owner}/{alias}", request_id)
    if found is None:
        return JSONResponse({"detail": "not found", "status": "NOT_FOUND"}, status_code=404)
    if not mock.runner.cancel(found):
        told = {"detail": "the request has ended", "status": "ALREADY_COMPLETED"}
        return JSONResponse(told, status_code=400)
    return JSONResponse({"status": "CANCELLATION_REQUESTED"}, status_code=202)


def _external_id(webhook: str | None) -> str | None:
    found = parse_qs(urlsplit(webhook or "").query).get(_OURS)
    return found[0][:255] if found else None


def _found(mock: Mock, app: str, request_id: str) -> Generation | None:
    task = mock.ledger.find(request_id)
    ours = task is not None and answers.is_ours(task) and task.id == request_id
    return task if ours and task is not None and task.detail["app"] == app else None


def _position(mock: Mock, generation: Generation) -> int:
    """How many wait before it."""
    waiting = [row for row in mock.ledger if row.state is State.QUEUED and row.open]
    return waiting.index(generation) if generation in waiting else 0


def _queued(mock: Mock, generation: Generation) -> Response:
    told = {"status": "IN_QUEUE", "queue_position": _position(mock, generation)}
    ids = {"request_id": generation.id, "gateway_request_id": generation.id}
    return JSONResponse({**told, **ids, **answers.urls(generation)})
