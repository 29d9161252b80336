"""The native wire, first half: prompts, the queue, interrupts."""

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
from services.mock_core.calls import requested, submit
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
        queue.take_number()
        return native_error(mistake("no_prompt", "No prompt provided", "No prompt provided"))
    graph, extra = body["prompt"], body.get("extra_data", {})
    try:
        # Its place in the queue: the lowest number runs first.
        number = float(body["number"]) if "number" in body else queue.take_number()
    except (TypeError, ValueError) as error:
        raise MalformedBody from error
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
            "queue_pending": [task.queue_row for task in queue.waiting()],
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
