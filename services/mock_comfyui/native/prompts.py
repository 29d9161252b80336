"""The native wire: prompts, the queue, interrupts, history, and jobs of any state."""

import re
import uuid
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from services.mock_comfyui.folders import load
from services.mock_comfyui.native.wire import (
    MalformedBody,
    NativeJson,
    TheQueue,
    listed,
    native_error,
    native_refusal,
    parsed_body,
    read_json,
)
from services.mock_comfyui.prompts.tasks import Task, needed, text_of
from services.mock_comfyui.prompts.validation import mistake, validate
from services.mock_comfyui.settings import native_config
from services.mock_core.calls import View, look_up, requested, submit
from services.mock_core.ledger import Generation, State
from services.mock_core.mock import TheMock

router = APIRouter(include_in_schema=False)
_BAD_ID = mistake(
    "invalid_prompt_id",
    "prompt_id must be a valid UUID",
    "prompt_id must be a UUID string in canonical lowercase hyphenated form; "
    "omit it to let the server generate one",
)
_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")
_SECRETS = ("auth_token_comfy_org", "api_key_comfy_org")


@router.get("/prompt")
async def queue_info(queue: TheQueue) -> dict[str, Any]:
    """The number of prompts left in the queue."""
    return queue.status()


@router.post("/prompt")
async def post_prompt(request: Request, mock: TheMock, queue: TheQueue) -> Response:
    """Queue a graph. A 200 may carry node_errors, because one good output is enough."""
    body = await parsed_body(request)
    if not isinstance(body, dict | list | str):
        raise MalformedBody
    if not isinstance(body, dict) or "prompt" not in body:
        next(queue.numbers)
        return native_error(mistake("no_prompt", "No prompt provided", "No prompt provided"))
    graph, extra = body["prompt"], body.get("extra_data", {})
    number = next(queue.numbers)
    if not isinstance(graph, dict) or not isinstance(extra, dict):
        raise MalformedBody
    config = native_config(mock)
    given = body.get("prompt_id")
    if config.is_old:
        given = str(given) if "prompt_id" in body else None
    elif given is not None and not (isinstance(given, str) and _UUID.fullmatch(given)):
        return native_error(_BAD_ID)
    validation = validate(
        graph,
        queue.nodes,
        is_there=lambda name: load(mock.files, name) is not None,
        old=config.is_old,
    )
    if validation.error is not None:
        return native_error(validation.error, validation.node_errors)
    client = {"client_id": body["client_id"]} if "client_id" in body else {}
    extra = {name: value for name, value in extra.items() if name not in _SECRETS} | client
    text = text_of(graph, needed(graph, validation.outputs, queue.nodes))
    # The caller's id, if it is given; a real server only stores it.
    ours = extra.get("external_id")
    ours = ours if isinstance(ours, str) else given
    kept = given if config.prompt_ids == "kept" else None
    prompt_id = str(uuid.uuid4()) if kept is None else kept
    generation = requested(request, mock, id_=prompt_id, external_id=ours, prompt=text)
    client_id = extra.get("client_id")
    client_id = client_id if isinstance(client_id, str) else None
    task = Task(
        generation,
        number,
        graph,
        validation.outputs,
        extra=extra,
        client_id=client_id,
        is_dated=not config.is_old,
    )
    generation.detail.update(native=True, task=task)
    answer = {"prompt_id": generation.id, "number": number, "node_errors": validation.node_errors}
    return await submit(mock, generation, reply=lambda _: NativeJson(answer), shape=native_refusal)


@router.get("/queue")
async def get_queue(queue: TheQueue) -> Response:
    """Running and waiting prompts, with their whole graphs."""
    return NativeJson(
        {
            "queue_running": [] if queue.running is None else [queue.running.queue_row],
            "queue_pending": [task.queue_row for task in queue.pending],
        }
    )


@router.post("/queue")
async def post_queue(request: Request, queue: TheQueue) -> Response:
    """Drop waiting prompts: all of them, or those of these ids."""
    body = await read_json(request)
    if body.get("clear"):
        queue.drop_all()
    for prompt_id in listed(body, "delete"):
        queue.drop(str(prompt_id))
    return Response()


@router.post("/interrupt")
async def interrupt(request: Request, mock: TheMock, queue: TheQueue) -> Response:
    """Interrupt this prompt; without an id, or without JSON, whatever runs."""
    try:
        body = await parsed_body(request)
    except MalformedBody:
        body = {}
    if not isinstance(body, dict):
        raise MalformedBody
    by_id = native_config(mock).interrupt == "by-id"
    queue.interrupt(str(body.get("prompt_id") or "") or None if by_id else None)
    return Response()


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
