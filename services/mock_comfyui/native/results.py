"""The native wire, second half: history, jobs, files."""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request
from starlette.responses import JSONResponse, Response

from services.mock_comfyui.native.wire import (
    RESPONSES,
    TheQueue,
    json_body,
    native_refusal,
    read_json,
)
from services.mock_comfyui.prompts.task import file_key
from services.mock_comfyui.queue.prompt_queue import PromptQueue
from services.mock_core.exchange.files import serve_file
from services.mock_core.exchange.status import look_up
from services.mock_core.exchange.view import View
from services.mock_core.http.documented import documented
from services.mock_core.ledger.generation import Generation, State
from services.mock_core.mock import TheMock

router = APIRouter(tags=["native"])
jobs_router = APIRouter(tags=["native"])
_WORDS = {
    State.QUEUED: "pending",
    State.RUNNING: "in_progress",
    State.SUCCEEDED: "completed",
    State.FAILED: "failed",
    State.CANCELLED: "cancelled",
}
_NOT_FOUND = {
    "description": "There is no such job",
    "content": {
        "application/json": {
            "schema": {"type": "object", "properties": {"error": {"type": "string"}}}
        }
    },
}
_FOLDERS = ("output", "temp", "input")
Entry = dict[str, Any]


@router.get("/history", responses=documented(422))
async def get_history(
    queue: TheQueue,
    max_items: Annotated[int | None, Query(ge=0)] = None,
    offset: Annotated[int, Query(ge=-1)] = -1,
) -> Response:
    """Finished prompts, the oldest first; the last `max_items` unless an offset is given."""
    rows = list(queue.history.items())
    if max_items is not None:
        start = offset if offset >= 0 else max(len(rows) - max_items, 0)
        rows = rows[start : start + max_items]
    return JSONResponse(dict(rows))


@router.get("/history/{prompt_id}", responses=RESPONSES)
async def get_history_of(mock: TheMock, queue: TheQueue, prompt_id: str) -> Response:
    """`{}` while it waits, while it runs, and for an id that never was."""
    generation = mock.ledger.find(prompt_id)
    entry = queue.history.get(prompt_id)
    if generation is None:
        return JSONResponse({} if entry is None else {prompt_id: entry})
    answer = await look_up(
        mock,
        generation,
        reply=lambda _, view: JSONResponse(
            {} if entry is None else {prompt_id: _bent(entry, view)}
        ),
        shape=native_refusal,
    )
    return JSONResponse({}) if answer.status_code == 404 else answer


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
    dropped = body.get("delete")
    for prompt_id in dropped if isinstance(dropped, list) else []:
        if isinstance(prompt_id, str):
            queue.history.pop(prompt_id, None)
    return Response()


@router.get(
    "/view",
    response_class=Response,
    responses={
        200: {"content": {"image/png": {}}},
        206: {"content": {"image/png": {}}},
        400: {"description": "a name that leads out of its folder"},
        404: {"description": "no such file"},
        416: {"description": "a range outside the file"},
    },
)
async def view(
    mock: TheMock,
    filename: str = "",
    subfolder: str = "",
    folder: Annotated[str, Query(alias="type")] = "output",
    range_: Annotated[str | None, Header(alias="Range")] = None,
) -> Response:
    """A file of the output, temp or input folder; it outlives the history."""
    if not filename:
        return Response(status_code=404)
    if ".." in filename or filename.startswith("/") or ".." in subfolder or folder not in _FOLDERS:
        return Response(status_code=400)
    key = file_key(filename, subfolder.strip("/"), folder)
    if mock.files.get(key) is None:
        return Response(status_code=404)
    return await serve_file(mock, key, range_header=range_)


@jobs_router.get("/api/jobs", responses=documented(422))
async def list_jobs(
    mock: TheMock,
    queue: TheQueue,
    status: str = "",
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    offset: Annotated[int, Query(ge=0)] = 0,
) -> Response:
    """Jobs by status (several with commas), the newest first."""
    wanted = {word for word in status.split(",") if word}
    rows = [row for row in _all_jobs(mock, queue) if not wanted or row["status"] in wanted]
    page = rows[offset : offset + limit]
    pages = {
        "offset": offset,
        "limit": limit,
        "total": len(rows),
        "has_more": offset + limit < len(rows),
    }
    return JSONResponse({"jobs": page, "pagination": pages})


@jobs_router.get("/api/jobs/{job_id}", responses={**RESPONSES, 404: _NOT_FOUND})
async def get_job(mock: TheMock, queue: TheQueue, job_id: str) -> Response:
    """One job, 404 for one that never was, was forgotten, or was cancelled while it waited."""
    generation = mock.ledger.find(job_id)
    if generation is None or not _is_known(queue, generation):
        return _not_found()
    answer = await look_up(
        mock,
        generation,
        reply=lambda it, view: JSONResponse(_job(queue, it, view)),
        shape=native_refusal,
    )
    return _not_found() if answer.status_code == 404 else answer


@jobs_router.post("/api/jobs/{job_id}/cancel", responses={"default": RESPONSES["default"]})
async def cancel(mock: TheMock, job_id: str) -> Response:
    """Cancel a generation by either id; false when there is nothing to cancel."""
    generation = mock.ledger.find(job_id)
    cancelled = generation is not None and mock.runner.cancel(generation)
    return JSONResponse({"cancelled": cancelled})


def _not_found() -> Response:
    return JSONResponse({"error": "Job not found"}, status_code=404)


def _is_known(queue: PromptQueue, generation: Generation) -> bool:
    return generation in queue.open or generation.id in queue.history


def _all_jobs(mock: TheMock, queue: PromptQueue) -> list[Entry]:
    return [
        _short(queue, row, _WORDS[queue.state_of(row, row.state)])
        for row in mock.ledger.newest()
        if _is_known(queue, row)
    ]


def _job(queue: PromptQueue, generation: Generation, view: View) -> Entry:
    """The whole job: what `_short` has, and once it has ended its outputs and its graph."""
    state = queue.state_of(generation, view.state)
    short = _short(queue, generation, view.word or _WORDS[state])
    entry = queue.history.get(generation.id)
    if entry is None or generation in queue.open:
        return short
    entry = _bent(entry, view)
    _, _, graph, extra, _ = entry["prompt"]
    return {
        **short,
        "outputs": entry["outputs"],
        "execution_status": entry["status"],
        "workflow": {"prompt": graph, "extra_data": extra},
    }


def _short(queue: PromptQueue, generation: Generation, word: str) -> Entry:
    task = queue.open.get(generation)
    if task is not None:
        start = {"id": task.id, "status": word, "priority": task.number}
        return {**start, "create_time": task.created, "outputs_count": 0}
    entry = queue.history[generation.id]
    number, prompt_id, _, extra, _ = entry["prompt"]
    messages = entry["status"]["messages"]
    images = _images(entry["outputs"])
    return {
        "id": prompt_id,
        "status": word,
        "priority": number,
        "create_time": extra["create_time"],
        "execution_start_time": messages[0][1]["timestamp"],
        "execution_end_time": messages[-1][1]["timestamp"],
        "outputs_count": sum(len(kept) for it in entry["outputs"].values() for kept in it.values()),
        **({"preview_output": images[0]} if images else {}),
    }


def _images(outputs: Entry) -> list[Entry]:
    return [
        {**image, "nodeId": node_id, "mediaType": "images"}
        for node_id, output in outputs.items()
        for image in output.get("images", ())
    ]


def _bent(entry: Entry, view: View) -> Entry:
    """A history entry as a fault lets it look: without its files, or failed after success."""
    if entry["status"]["completed"] and view.state is State.FAILED:
        status = {**entry["status"], "status_str": "error", "completed": False}
        return {**entry, "outputs": {}, "status": status}
    if entry["status"]["completed"] and view.file_name is None:
        return {**entry, "outputs": {}}
    return entry
