"""The native wire: history, and jobs of any state."""

from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from services.mock_comfyui.native.wire import MalformedBody, NativeJson, TheQueue, native_refusal
from services.mock_comfyui.prompts.tasks import Task
from services.mock_core.calls import View, look_up
from services.mock_core.ledger import Generation, State
from services.mock_core.mock import TheMock

router = APIRouter(include_in_schema=False)
jobs_router = APIRouter(include_in_schema=False)
Entry = dict[str, Any]
_WORDS = {
    State.QUEUED: "pending",
    State.RUNNING: "in_progress",
    State.SUCCEEDED: "completed",
    State.FAILED: "failed",
    State.CANCELLED: "cancelled",
}


@router.get("/history")
async def get_history(
    queue: TheQueue, max_items: str | None = None, offset: str | None = None
) -> Response:
    """Finished prompts, oldest first; the last `max_items` unless an offset is given."""
    rows = [(prompt_id, kept.entry) for prompt_id, kept in queue.history.items()]
    try:
        most, start = (None if it is None else int(it) for it in (max_items, offset))
    except ValueError as error:
        raise MalformedBody from error
    if start is None or start < 0:
        start = 0 if most is None else max(len(rows) - most, 0)
    end = len(rows) if most is None else start + most
    return NativeJson(dict(rows[start : max(end, 0)]))


@router.get("/history/{prompt_id}")
async def get_history_of(mock: TheMock, queue: TheQueue, prompt_id: str) -> Response:
    """The entry of a prompt that has ended; otherwise `{}`."""
    kept = queue.history.get(prompt_id)
    generation = mock.ledger.find(prompt_id) if kept is None else kept.generation
    if generation is None:
        return NativeJson({})

    def reply(_: Generation, view: View) -> Response:
        return NativeJson({} if kept is None else {prompt_id: _bent(kept.entry, view)})

    answer = await look_up(mock, generation, reply=reply, shape=native_refusal)
    return NativeJson({}) if answer.status_code == 404 else answer


def _bent(entry: Entry, view: View) -> Entry:
    """Change a history entry by a fault: without its files, or failed after success."""
    if not entry["status"]["completed"]:
        return entry
    if view.state is State.FAILED:
        status = {**entry["status"], "status_str": "error", "completed": False}
        return {**entry, "outputs": {}, "status": status}
    has_files = any("images" in output for output in entry["outputs"].values())
    return {**entry, "outputs": {}} if view.file_name is None and has_files else entry


@jobs_router.get("/api/jobs/{job_id}")
async def get_job(mock: TheMock, queue: TheQueue, job_id: str) -> Response:
    """One job; 404 for one that is unknown, forgotten, or was cancelled while it waited."""
    unknown = NativeJson({"error": "Job not found"}, status_code=404)
    kept = queue.history.get(job_id)
    if kept is not None:
        entry, generation = kept.entry, kept.generation

        def reply(_: Generation, view: View) -> Response:
            return NativeJson(_ended_job(_bent(entry, view), view.word or _WORDS[view.state]))

    else:
        task = queue.find(job_id)
        if task is None:
            return unknown
        open_, generation = task, task.generation

        def reply(_: Generation, view: View) -> Response:
            return NativeJson(_open_job(open_, view))

    answer = await look_up(mock, generation, reply=reply, shape=native_refusal)
    return unknown if answer.status_code == 404 else answer


@jobs_router.post("/api/jobs/{job_id}/cancel")
async def cancel(mock: TheMock, queue: TheQueue, job_id: str) -> Response:
    """Cancel by either id; return false if there is nothing to cancel.

    For a running prompt, true means that it ends at its next node or step.
    """
    cancelled = queue.cancel(job_id)
    generation = mock.ledger.find(job_id)
    if not cancelled and generation is not None and "native" not in generation.detail:
        cancelled = mock.runner.cancel(generation)
    return NativeJson({"cancelled": cancelled})


def _open_job(task: Task, view: View) -> Entry:
    # It counts as running until the history is written.
    state = State.RUNNING if task.generation.ended else view.state
    return {
        "id": task.id,
        "status": view.word or _WORDS[state],
        "priority": task.number,
        "create_time": task.created,
        "outputs_count": 0,
        **_workflow_id(task.extra),
    }


def _ended_job(entry: Entry, word: str) -> Entry:
    """Return a job that has ended, with outputs and graph."""
    number, prompt_id, graph, extra, _ = entry["prompt"]
    messages, outputs = entry["status"]["messages"], entry["outputs"]
    kind, last = messages[-1]
    files, texts = [], []
    for node_id, output in outputs.items():
        for medium, made in output.items():
            common = {"nodeId": node_id, "mediaType": medium}
            files += [{**it, **common} for it in made if isinstance(it, dict)]
            if medium == "text":
                texts += [{"content": it, **common} for it in made]
    # The one to show is of the output folder rather than of temp.
    shown = [it for it in files if it["mediaType"] == "images"]
    shown.sort(key=lambda it: it["type"] != "output")
    preview = next(iter([*shown, *texts]), None)
    return {
        "id": prompt_id,
        "status": word,
        "priority": number,
        "create_time": extra.get("create_time", 0),
        "execution_start_time": messages[0][1]["timestamp"],
        "execution_end_time": last["timestamp"],
        **({"execution_error": last} if kind == "execution_error" else {}),
        "outputs_count": len(files),
        **({"preview_output": preview} if preview else {}),
        **_workflow_id(extra),
        "outputs": outputs,
        "execution_status": entry["status"],
        "workflow": {"prompt": graph, "extra_data": extra},
    }


def _workflow_id(extra: Entry) -> Entry:
    info = extra.get("extra_pnginfo")
    workflow = info.get("workflow") if isinstance(info, dict) else None
    found = workflow.get("id") if isinstance(workflow, dict) else None
    return {} if found is None else {"workflow_id": found}
