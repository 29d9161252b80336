"""The real server's own wire, as it was captured: what our adapter calls of it."""

import asyncio
import hmac
import json
import posixpath
import re
import uuid
from collections.abc import Callable
from contextlib import suppress
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, WebSocket, WebSocketDisconnect
from starlette.datastructures import Headers
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from services.mock_comfyui.graphs import NODES, mistake, needed, text_of, validate
from services.mock_comfyui.queue import PromptQueue
from services.mock_comfyui.run import FOLDERS, Task, encode, key_of
from services.mock_comfyui.settings import NativeConfig, native_config
from services.mock_core.calls import View, look_up, requested, serve_file, submit
from services.mock_core.ledger import Generation, State
from services.mock_core.mock import TheMock
from shared.http.app import of_state

Entry = dict[str, Any]
router = APIRouter(include_in_schema=False)
# Not at the server's root, unlike the others.
jobs_router = APIRouter(include_in_schema=False)
_TROUBLE = "500 Internal Server Error\n\nServer got itself in trouble"
_BAD_ID = mistake(
    "invalid_prompt_id",
    "prompt_id must be a valid UUID",
    "prompt_id must be a UUID string in canonical lowercase hyphenated form; "
    "omit it to let the server generate one",
)
_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")
_WORDS = {
    State.QUEUED: "pending",
    State.RUNNING: "in_progress",
    State.SUCCEEDED: "completed",
    State.FAILED: "failed",
    State.CANCELLED: "cancelled",
}


TheQueue = Annotated[PromptQueue, of_state("queue", PromptQueue)]


class NativeJson(JSONResponse):
    media_type = "application/json; charset=utf-8"


class MalformedBody(Exception):
    """The real server answers such a body with an internal error."""


async def on_trouble(_request: Request, _error: Exception) -> Response:
    return PlainTextResponse(_TROUBLE, status_code=500)


async def _body(request: Request) -> Entry:
    """Read the body as an object of strict JSON, because other values can't be sent back."""
    try:
        found = await request.json()
        json.dumps(found, allow_nan=False, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise MalformedBody from error
    if not isinstance(found, dict):
        raise MalformedBody
    return found


def _refused(error: Entry, node_errors: Entry | None = None, *, status: int = 400) -> Response:
    return NativeJson({"error": error, "node_errors": node_errors or {}}, status_code=status)


def _injected(
    status: int | None, code: int | str | None, message: str | None, headers: dict[str, str]
) -> Response:
    """Send an injected refusal; 503 by default. The real server has no such answer."""
    reply = _refused(
        mistake(str(code or "injected"), message or "refused", ""), status=status or 503
    )
    reply.headers.update(headers)
    return reply


@router.post("/prompt")
async def post_prompt(request: Request, mock: TheMock, queue: TheQueue) -> Response:
    """Queue a graph. A 200 may carry node_errors, because one good output is enough."""
    body = await _body(request)
    if "prompt" not in body:
        return _refused(mistake("no_prompt", "No prompt provided", "No prompt provided"))
    graph, extra, given = body["prompt"], body.get("extra_data", {}), body.get("prompt_id")
    if not isinstance(graph, dict) or not isinstance(extra, dict):
        raise MalformedBody
    if native_config(mock).is_old:
        given = None if given is None else str(given)
    elif given is not None and not (isinstance(given, str) and _UUID.fullmatch(given)):
        return _refused(_BAD_ID)
    validation = validate(graph)
    if validation.error is not None:
        return _refused(validation.error, validation.node_errors)
    client_id = str(body.get("client_id", ""))
    extra |= {"client_id": client_id} if client_id else {}
    # The caller's id, if it is given; a real server only stores it.
    ours = extra.get("external_id")
    text = text_of(graph, needed(graph, validation.outputs))
    generation = requested(
        request,
        mock,
        id_=given or str(uuid.uuid4()),
        external_id=ours if isinstance(ours, str) else given,
        prompt=text,
    )
    number = next(queue.numbers)
    task = Task(generation, number, graph, validation.outputs, extra=extra, client_id=client_id)
    generation.detail.update(native=True, task=task)
    answer = {"prompt_id": generation.id, "number": number, "node_errors": validation.node_errors}
    return await submit(mock, generation, reply=lambda _: NativeJson(answer), shape=_injected)


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
    """Drop the waiting prompts of these ids."""
    dropped = (await _body(request)).get("delete", [])
    for prompt_id in dropped if isinstance(dropped, list) else []:
        queue.drop(str(prompt_id))
    return Response()


@router.post("/interrupt")
async def interrupt(request: Request, queue: TheQueue) -> Response:
    """Interrupt the prompt of this id, if it runs."""
    queue.interrupt(str((await _body(request)).get("prompt_id")))
    return Response()


@router.post("/free")
async def free() -> Response:
    """Do nothing: there are no models in memory."""
    return Response()


@router.get("/history/{prompt_id}")
async def get_history_of(mock: TheMock, queue: TheQueue, prompt_id: str) -> Response:
    """The entry of a prompt that has ended; otherwise `{}`."""
    kept = queue.history.get(prompt_id)
    generation = mock.ledger.find(prompt_id) if kept is None else kept.generation
    if generation is None:
        return NativeJson({})

    def reply(_: Generation, view: View) -> Response:
        return NativeJson({} if kept is None else {prompt_id: _bent(kept.entry, view)})

    answer = await look_up(mock, generation, reply=reply, shape=_injected)
    return NativeJson({}) if answer.status_code == 404 else answer


def _bent(entry: Entry, view: View) -> Entry:
    """Change a history entry by a fault: without its files, or failed after success."""
    if not entry["status"]["completed"]:
        return entry
    if view.state is State.FAILED:
        status = {**entry["status"], "status_str": "error", "completed": False}
        return {**entry, "outputs": {}, "status": status}
    return {**entry, "outputs": {}} if view.file_name is None else entry


@jobs_router.get("/api/jobs/{job_id}")
async def get_job(mock: TheMock, queue: TheQueue, job_id: str) -> Response:
    """One job; 404 for one that is unknown, forgotten, or was cancelled while it waited."""
    unknown = NativeJson({"error": "Job not found"}, status_code=404)
    kept, task = queue.history.get(job_id), queue.find(job_id)
    generation = kept.generation if kept else task.generation if task else None
    if generation is None:
        return unknown

    def reply(generation: Generation, view: View) -> Response:
        # It counts as running until the history is written.
        state = State.RUNNING if generation.ended and kept is None else view.state
        word = view.word or _WORDS[state]
        if kept is not None:
            return NativeJson(_ended_job(_bent(kept.entry, view), word))
        times = {"priority": task.number, "create_time": task.created} if task else {}
        return NativeJson({"id": job_id, "status": word, **times, "outputs_count": 0})

    answer = await look_up(mock, generation, reply=reply, shape=_injected)
    return unknown if answer.status_code == 404 else answer


def _ended_job(entry: Entry, word: str) -> Entry:
    number, prompt_id, graph, extra, _ = entry["prompt"]
    messages, outputs = entry["status"]["messages"], entry["outputs"]
    kind, last = messages[-1]
    files = [
        {**file, "nodeId": node_id, "mediaType": "images"}
        for node_id, output in outputs.items()
        for file in output["images"]
    ]
    return {
        "id": prompt_id,
        "status": word,
        "priority": number,
        "create_time": extra["create_time"],
        "execution_start_time": messages[0][1]["timestamp"],
        "execution_end_time": last["timestamp"],
        **({"execution_error": last} if kind == "execution_error" else {}),
        "outputs_count": len(files),
        **({"preview_output": files[0]} if files else {}),
        "outputs": outputs,
        "execution_status": entry["status"],
        "workflow": {"prompt": graph, "extra_data": extra},
    }


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


@router.get("/view")
async def view_file(
    mock: TheMock,
    filename: str = "",
    subfolder: str = "",
    folder: Annotated[str, Query(alias="type")] = "output",
    *,
    range_: Annotated[str | None, Header(alias="Range")] = None,
) -> Response:
    """Serve a file; it outlives the history."""
    key = key_of(posixpath.basename(filename), subfolder, folder)
    if folder not in FOLDERS or mock.files.get(key) is None:
        return Response(status_code=404)
    return await serve_file(mock, key, range_header=range_)


@router.get("/object_info/{name}")
async def object_info_of(name: str) -> Response:
    """One node type; `{}` for an unknown one."""
    return NativeJson({name: {**NODES[name], "name": name}} if name in NODES else {})


@router.get("/system_stats")
async def system_stats(mock: TheMock) -> Response:
    """The server's system, which names itself a mock."""
    system = {"os": "linux", "comfyui_version": native_config(mock).version, "argv": ["mock"]}
    return NativeJson({"system": system, "devices": []})


@router.websocket("/ws")
async def events(socket: WebSocket) -> None:
    """Send the frames of this client id until it leaves or the server restarts."""
    queue: PromptQueue = socket.app.state.queue
    await socket.accept()
    client_id = socket.query_params.get("clientId") or uuid.uuid4().hex
    frames = queue.hub.add(client_id)
    frames.put_nowait(encode("status", {**queue.status(), "sid": client_id}))

    async def send() -> None:
        with suppress(WebSocketDisconnect, RuntimeError):
            while (frame := await frames.get()) is not None:
                await socket.send_text(frame)
            await socket.close(1001)

    sending = asyncio.create_task(send())
    try:
        while (await socket.receive())["type"] == "websocket.receive":
            pass
    finally:
        queue.hub.remove(client_id, frames)
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)


_NATIVE = frozenset(
    {"api", "free", "history", "interrupt", "object_info", "prompt", "queue", "system_stats"}
    | {"view", "ws"}
)


class Gate:
    """Check the key on native routes only; an old server has no job routes."""

    def __init__(self, app: ASGIApp, *, config: Callable[[], NativeConfig]) -> None:
        self._app = app
        self._config = config

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        first = scope.get("path", "").lstrip("/").partition("/")[0]
        app = (self._instead(scope) if first in _NATIVE else None) or self._app
        await app(scope, receive, send)

    def _instead(self, scope: Scope) -> Response | None:
        headers, config = Headers(scope=scope), self._config()
        if config.key is not None:
            given = (headers.get("x-api-key", ""), headers.get("authorization", ""))
            wanted = (config.key, f"Bearer {config.key}")
            pairs = zip(given, wanted, strict=True)
            if not any(hmac.compare_digest(a.encode(), b.encode()) for a, b in pairs):
                return JSONResponse({"error": "unauthorized"}, status_code=401)
        if config.is_old and scope["path"].startswith("/api/jobs"):
            return Response(status_code=404 if scope["method"] == "GET" else 405)
        return None
