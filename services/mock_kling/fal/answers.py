"""How fal tells of a request: where to ask, how it stands, what came of it."""

import json
from typing import Any

from starlette.responses import JSONResponse, Response

from services.mock_core.exchange.view import View
from services.mock_core.ledger.generation import Generation, State
from services.mock_kling.errors import resolve
from services.mock_kling.tasks import video_url

WIRE = "fal"
WRONG = "wrong"
_OPEN = {State.QUEUED: "IN_QUEUE", State.RUNNING: "IN_PROGRESS"}
_ERROR = "Invalid status code: 422"


def is_ours(generation: Generation) -> bool:
    """Whether it came by this wire."""
    return generation.detail.get("wire") == WIRE


def is_silent(generation: Generation) -> bool:
    """Whether no webhook tells of this state: there is one for an end that nobody asked for."""
    return is_ours(generation) and generation.state not in (State.SUCCEEDED, State.FAILED)


def urls(generation: Generation) -> dict[str, str]:
    """Of the application alone: the endpoint that was called is no part of them."""
    here = f"{generation.base_url}/fal/{generation.detail['app']}/requests/{generation.id}"
    return {
        "response_url": here,
        "status_url": f"{here}/status",
        "cancel_url": f"{here}/cancel",
    }


def status(generation: Generation, view: View, *, position: int) -> Response:
    """202 while it is open; a request that failed is completed, too."""
    word = view.word or _OPEN.get(view.state, "COMPLETED")
    ids = {"request_id": generation.id, **urls(generation)}
    told: dict[str, Any] = {"status": word, **ids}
    if view.state is State.QUEUED:
        told["queue_position"] = position
    if view.state in (State.FAILED, State.CANCELLED):
        told["error"] = view.error or ""
    return JSONResponse(told, status_code=202 if view.state in _OPEN else 200)


def response(generation: Generation, view: View, base: str) -> Response:
    """The model's own answer, or why there is none."""
    if view.state in _OPEN:
        return refuse(400, None, "Request is still in progress", {})
    if view.state is State.CANCELLED:
        return refuse(400, None, "Request was cancelled", {})
    if view.state is State.FAILED:
        return JSONResponse({"detail": mistakes(generation, view.error)}, status_code=422)
    return JSONResponse(payload(generation, video_url(view.file_name, base)))


def payload(generation: Generation, url: str | None) -> dict[str, Any]:
    return {
        "video": {
            "url": url or "",
            "content_type": "video/mp4",
            "file_name": f"{generation.id}.mp4",
        }
    }


def mistakes(generation: Generation, error: str | None) -> list[dict[str, Any]]:
    """What the model found wrong with its inputs, or what befell it."""
    if WRONG in generation.detail:
        return list(json.loads(generation.detail[WRONG]))
    return [{"loc": ["body"], "msg": error or "", "type": "generation_error"}]


def webhook(generation: Generation, flat: dict[str, Any]) -> dict[str, Any]:
    """The body of a webhook, made of a callback as the fault plan has bent it."""
    rest = dict(flat)
    videos = rest.pop("task_result")["videos"]
    good = rest.pop("task_status") == "succeed"
    request_id = rest.pop("task_id")
    error = rest.pop("task_status_msg")
    for name in ("created_at", "updated_at", "final_unit_deduction", "task_info"):
        del rest[name]
    told: dict[str, Any] = {"request_id": request_id, "gateway_request_id": request_id}
    if good:
        url = videos[0]["url"] if videos else None
        return {**told, "status": "OK", "payload": payload(generation, url), **rest}
    detail = {"detail": mistakes(generation, error)}
    return {**told, "status": "ERROR", "error": _ERROR, "payload": detail, **rest}


def refuse(
    status: int | None, code: int | str | None, message: str | None, headers: dict[str, str]
) -> Response:
    """`detail` alone, in place of a code."""
    known = code if str(code).isdecimal() else None
    status, _, usual = resolve(status, known)
    return JSONResponse({"detail": message or usual}, status_code=status, headers=headers)
