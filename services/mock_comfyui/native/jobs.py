"""The native wire: history, and jobs of any state."""

import re
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from services.mock_comfyui.native.wire import (
    MalformedBody,
    NativeJson,
    TheQueue,
    native_refusal,
    read_json,
)
from services.mock_comfyui.prompts.tasks import Task
from services.mock_comfyui.queue.prompt_queue import Kept
from services.mock_core.calls import View, look_up
from services.mock_core.ledger import State
from services.mock_core.mock import TheMock

router = APIRouter(include_in_schema=False)
Entry = dict[str, Any]


@router.get("/history")
async def get_history(
    queue: TheQueue, max_items: str | None = None, offset: str | None = None
) -> Response:
    """Finished prompts, oldest first; the last `max_items` unless an offset is given."""
    rows = [(prompt_id, kept.entry) for prompt_id, kept in queue.history.items()]
    most, start = _number(max_items), _number(offset)
    if start is None or start < 0:
        start = 0 if most is None else max(len(rows) - most, 0)
    end = len(rows) if most is None else start + most
    return NativeJson(dict(rows[start : max(end, 0)]))


@router.get("/history/{prompt_id}")
async def get_history_of(mock: TheMock, queue: TheQueue, prompt_id: str) -> Response:
    """`{}` while it waits or runs, and for an unknown id."""
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


@router.post("/history")
async def post_history(request: Request, queue: TheQueue) -> Response:
    """Forget finished prompts: all of them, or those of these ids."""
    body = await read_json(request)
    if body.get("clear"):
        queue.history.clear()
    for prompt_id in listed(body, "delete"):
        queue.history.pop(str(prompt_id), None)
    return Response()


def listed(body: dict[str, Any], name: str) -> list[Any]:
    """Return the members of an optional list; anything else fails as at the real server."""
    found = body.get(name, [])
    if not isinstance(found, list):
        raise MalformedBody
    return found


def bent(entry: Entry, view: View) -> Entry:
    """Let a fault change a history entry: without its files, or failed after success."""
    if entry["status"]["completed"] and view.state is State.FAILED:
        status = {**entry["status"], "status_str": "error", "completed": False}
        return {**entry, "outputs": {}, "status": status}
    has_files = any("images" in output for output in entry["outputs"].values())
    if entry["status"]["completed"] and view.file_name is None and has_files:
        return {**entry, "outputs": {}}
    return entry


def _number(text: str | None) -> int | None:
    try:
        return None if text is None else int(text)
    except ValueError as error:
        raise MalformedBody from error


jobs_router = APIRouter(include_in_schema=False)
_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")
_WORDS = {
    State.QUEUED: "pending",
    State.RUNNING: "in_progress",
    State.SUCCEEDED: "completed",
    State.FAILED: "failed",
    State.CANCELLED: "cancelled",
}


@jobs_router.get("/api/jobs/{job_id}")
async def get_job(mock: TheMock, queue: TheQueue, job_id: str) -> Response:
    """One job; 404 for one that is unknown, forgotten, or was cancelled while it waited."""
    kept = queue.history.get(job_id)
    # The running one before the waiting ones.
    task = None if kept else next((it for it, _ in queue.tasks() if it.id == job_id), None)
    if kept is not None:
        generation = kept.generation
    elif task is not None:
        generation = task.generation
    else:
        return _not_found()
    answer = await look_up(
        mock,
        generation,
        reply=lambda _, view: NativeJson(_whole_job(kept, task, view)),
        shape=native_refusal,
    )
    return _not_found() if answer.status_code == 404 else answer


@jobs_router.post("/api/jobs/{job_id}/cancel")
async def cancel(mock: TheMock, queue: TheQueue, job_id: str) -> Response:
    """Cancel by either id; return false if there is nothing to cancel.

    For a running prompt true is a promise: it ends at its next node or step.
    """
    cancelled = queue.cancel(job_id)
    if not cancelled:
        generation = mock.ledger.find(job_id)
        plain = generation is not None and "native" not in generation.detail
        cancelled = plain and generation is not None and mock.runner.cancel(generation)
    return NativeJson({"cancelled": cancelled})


def is_uuid(given: object) -> bool:
    """True if it is a UUID in its canonical form."""
    return isinstance(given, str) and _UUID.fullmatch(given) is not None


def _not_found() -> Response:
    return NativeJson({"error": "Job not found"}, status_code=404)


def _whole_job(kept: Kept | None, task: Task | None, view: View) -> Entry:
    """Return a job; if it has ended, with outputs and graph."""
    if kept is None and task is not None:
        # It counts as running until the history is written.
        state = State.RUNNING if task.generation.ended else view.state
        return _open_job(task, view.word or _WORDS[state])
    assert kept is not None  # noqa: S101 - one of the two is there
    entry = bent(kept.entry, view)
    _, _, graph, extra, _ = entry["prompt"]
    return {
        **_ended_job(entry, view.word or _WORDS[view.state]),
        "outputs": entry["outputs"],
        "execution_status": entry["status"],
        "workflow": {"prompt": graph, "extra_data": extra},
    }


def _open_job(task: Task, word: str) -> Entry:
    return {
        "id": task.id,
        "status": word,
        "priority": task.number,
        "create_time": task.created,
        "outputs_count": 0,
        **_workflow_id(task.extra),
    }


def _ended_job(entry: Entry, word: str) -> Entry:
    number, prompt_id, _, extra, _ = entry["prompt"]
    messages = entry["status"]["messages"]
    kind, last = messages[-1]
    count, preview = _summary(entry["outputs"])
    return {
        "id": prompt_id,
        "status": word,
        "priority": number,
        "create_time": extra.get("create_time", 0),
        "execution_start_time": messages[0][1]["timestamp"],
        "execution_end_time": last["timestamp"],
        **({"execution_error": last} if kind == "execution_error" else {}),
        "outputs_count": count,
        **({"preview_output": preview} if preview else {}),
        **_workflow_id(extra),
    }


def _summary(outputs: Entry) -> tuple[int, Entry | None]:
    """Return the number of files, and the one to show: of the output folder rather than of temp."""
    files: list[Entry] = []
    texts: list[Entry] = []
    for node_id, output in outputs.items():
        for kind, made in output.items():
            files += [
                {**it, "nodeId": node_id, "mediaType": kind} for it in made if isinstance(it, dict)
            ]
            if kind == "text":
                texts += [{"content": it, "nodeId": node_id, "mediaType": kind} for it in made]
    shown = [it for it in files if it["mediaType"] == "images"]
    first = next((it for it in shown if it["type"] == "output"), None)
    return len(files), first or next(iter([*shown, *texts]), None)


def _workflow_id(extra: Entry) -> Entry:
    info = extra.get("extra_pnginfo")
    workflow = info.get("workflow") if isinstance(info, dict) else None
    found = workflow.get("id") if isinstance(workflow, dict) else None
    return {} if found is None else {"workflow_id": found}
