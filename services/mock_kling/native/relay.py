"""The words of `new-api`, a relay before the vendor (read in its source, not captured).

It knows a task by its own id alone, and makes one refusal of all of the vendor's.
"""

from typing import Any

from starlette.responses import JSONResponse, Response

from services.mock_core.exchange.view import View
from services.mock_core.ledger.generation import Generation, State
from services.mock_kling.catalogue import FIRST_MODEL
from services.mock_kling.errors import resolve
from services.mock_kling.native.wire import request_id
from services.mock_kling.tasks import told as told_by_vendor

UNAUTHORIZED = 401
_STATUS = {
    State.QUEUED: ("SUBMITTED", "10%"),
    State.RUNNING: ("IN_PROGRESS", "50%"),
    State.SUCCEEDED: ("SUCCESS", "100%"),
    State.FAILED: ("FAILURE", "100%"),
    State.CANCELLED: ("FAILURE", "100%"),
}


def created(task: Generation) -> Response:
    """The relay's own form of a video."""
    return JSONResponse(
        {
            "id": task.id,
            "task_id": task.id,
            "object": "video",
            "model": task.detail.get("model", FIRST_MODEL),
            "status": "queued",
            "progress": 0,
            "created_at": int(task.updated),
        }
    )


def told(task: Generation, view: View, base: str) -> Response:
    """The relay's own record, with the vendor's last answer inside."""
    status, progress = _STATUS[view.state]
    answer = told_by_vendor(task, view, base)
    videos = answer["task_result"]["videos"]
    record: dict[str, Any] = {
        "task_id": task.id,
        "action": "generate",
        "status": view.word or status,
        "fail_reason": view.error or "",
        "result_url": videos[0]["url"] if videos else "",
        "submit_time": int(task.accepted or task.updated),
        "start_time": int(task.started or 0),
        "finish_time": int(task.finished or 0),
        "progress": progress,
        "data": {"code": 0, "message": "SUCCEED", "request_id": request_id(), "data": answer},
    }
    return JSONResponse({"code": "success", "message": "", "data": record})


def refuse(
    status: int | None, code: int | str | None, message: str | None, headers: dict[str, str]
) -> Response:
    """400 `task_failed` with the vendor's message alone; its own words for a key and a task."""
    if code == "not_found":
        return _failed("task_not_exist", "task_not_exist", headers)
    # Told by its status it is the relay's own; what the vendor refuses has a code alone.
    if status == UNAUTHORIZED:
        text = f"Invalid token (request id: {request_id()})"
        error = {"code": "", "message": text, "type": "new_api_error"}
        return JSONResponse({"error": error}, status_code=status, headers=headers)
    known = code if str(code).isdecimal() else None
    return _failed("task_failed", message or resolve(status, known)[2], headers)


def _failed(code: str, message: str, headers: dict[str, str]) -> Response:
    body = {"code": code, "message": message, "data": None}
    return JSONResponse(body, status_code=400, headers=headers)
