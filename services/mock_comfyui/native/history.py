"""The native wire: what has ended, until it is forgotten or the server restarts."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from services.mock_comfyui.native.wire import (
    RESPONSES,
    MalformedBody,
    NativeJson,
    TheQueue,
    json_body,
    native_refusal,
    read_json,
)
from services.mock_core.exchange.status import look_up
from services.mock_core.exchange.view import View
from services.mock_core.ledger.generation import State
from services.mock_core.mock import TheMock

router = APIRouter(tags=["native"])
Entry = dict[str, Any]


@router.get("/history", responses=RESPONSES)
async def get_history(
    queue: TheQueue, max_items: str | None = None, offset: str | None = None
) -> Response:
    """Finished prompts, the oldest first; the last `max_items` unless an offset is given."""
    rows = [(prompt_id, kept.entry) for prompt_id, kept in queue.history.rows()]
    most, start = _number(max_items), _number(offset)
    if start is None or start < 0:
        start = 0 if most is None else max(len(rows) - most, 0)
    end = len(rows) if most is None else start + most
    return NativeJson(dict(rows[start : max(end, 0)]))


@router.get("/history/{prompt_id}", responses=RESPONSES)
async def get_history_of(mock: TheMock, queue: TheQueue, prompt_id: str) -> Response:
    """`{}` while it waits, while it runs, and for an id that never was."""
    kept = queue.history.get(prompt_id)
    generation = mock.ledger.find(prompt_id) if kept is None else kept.generation
    if generation is None:
        return NativeJson({})
    answer = await look_up(
        mock,
        generation,
        reply=lambda _, view: NativeJson(
            {} if kept is None else {prompt_id: bent(kept.entry, view)}
        ),
        shape=native_refusal,
    )
    return NativeJson({}) if answer.status_code == 404 else answer


@router.post(
    "/history",
    openapi_extra=json_body("What to forget", clear={"type": "boolean"}, delete={"type": "array"}),
    response_class=Response,
    responses=RESPONSES,
)
async def post_history(request: Request, queue: TheQueue) -> Response:
    """Forget finished prompts: all of them, or those of these ids."""
    body = await read_json(request)
    if body.get("clear"):
        queue.history.clear()
    for prompt_id in listed(body, "delete"):
        queue.history.drop(str(prompt_id))
    return Response()


def listed(body: dict[str, Any], name: str) -> list[Any]:
    """The members of a list that may be missing; anything else is the server's trouble."""
    found = body.get(name, [])
    if not isinstance(found, list):
        raise MalformedBody
    return found


def bent(entry: Entry, view: View) -> Entry:
    """A history entry as a fault lets it look: without its files, or failed after success."""
    if entry["status"]["completed"] and view.state is State.FAILED:
        status = {**entry["status"], "status_str": "error", "completed": False}
        return {**entry, "outputs": {}, "status": status}
    if entry["status"]["completed"] and view.file_name is None and _has_files(entry):
        return {**entry, "outputs": {}}
    return entry


def _has_files(entry: Entry) -> bool:
    return any("images" in output for output in entry["outputs"].values())


def _number(text: str | None) -> int | None:
    try:
        return None if text is None else int(text)
    except ValueError as error:
        raise MalformedBody from error
