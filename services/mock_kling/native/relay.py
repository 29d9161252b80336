"""The words of `new-api`, a relay before the vendor (read in its source, not captured).

It knows a task by its own id alone. Its versions differ in what they make of a refusal.
"""

from typing import Any

from starlette.responses import JSONResponse, Response

from services.mock_core.exchange.view import View
from services.mock_core.ledger.generation import Generation, State
from services.mock_kling.catalogue import FIRST_MODEL
from services.mock_kling.errors import resolve
from services.mock_kling.native.wire import refuse as refused_by_vendor
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
    """400 `task_failed` with the vendor's message alone."""
    known = code if str(code).isdecimal() else None
    failed = _failed("task_failed", message or resolve(status, known)[2], headers)
    return _of_its_own(status, code, headers) or failed


def wrap(
    status: int | None, code: int | str | None, message: str | None, headers: dict[str, str]
) -> Response:
    """The vendor's status, and its whole answer as the message."""
    answer = refused_by_vendor(status, code, message, headers)
    text = bytes(answer.body).decode()
    failed = _failed("fail_to_fetch_task", text, headers, status=answer.status_code)
    return _of_its_own(status, code, headers) or failed


def _of_its_own(
    status: int | None, code: int | str | None, headers: dict[str, str]
) -> Response | None:
    """A task or key that the relay itself doesn't know; the vendor's 401 has a code alone."""
    if code == "not_found":
        return _failed("task_not_exist", "task_not_exist", headers)
    if status != UNAUTHORIZED:
        return None
    text = f"Invalid token (request id: {request_id()})"
    error = {"code": "", "message": text, "type": "new_api_error"}
    return JSONResponse({"error": error}, status_code=status, headers=headers)


def _failed(code: str, message: str, headers: dict[str, str], *, status: int = 400) -> Response:
    body = {"code": code, "message": message, "data": None}
    return JSONResponse(body, status_code=status, headers=headers)
