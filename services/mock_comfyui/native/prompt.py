"""The native wire, first half: prompts, the queue, interrupting."""

import re
import uuid
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from services.mock_comfyui.native.wire import (
    RESPONSES,
    TheQueue,
    json_body,
    native_error,
    native_refusal,
    read_json,
)
from services.mock_comfyui.prompts.inputs import mistake
from services.mock_comfyui.prompts.task import Task
from services.mock_comfyui.prompts.validation import Graph, validate
from services.mock_core.exchange.submit import submit
from services.mock_core.http.headers import base_url, find_tag, slot_token
from services.mock_core.ledger.generation import Generation, State
from services.mock_core.mock import TheMock

router = APIRouter(tags=["native"])
_CANONICAL = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")
_BAD_ID = mistake(
    "invalid_prompt_id",
    "prompt_id must be a valid UUID",
    "prompt_id must be a UUID string in canonical lowercase hyphenated form; "
    "omit it to let the server generate one",
)
_OBJECT = {"type": "object"}
_PROMPT = json_body(
    "A graph to run",
    prompt=_OBJECT,
    client_id={"type": "string"},
    prompt_id={"type": "string", "format": "uuid"},
    extra_data=_OBJECT,
)


@router.get("/prompt")
async def queue_info(queue: TheQueue) -> dict[str, Any]:
    """How much is left in the queue."""
    return queue.status()


@router.post("/prompt", openapi_extra=_PROMPT, responses=RESPONSES)
async def post_prompt(request: Request, mock: TheMock, queue: TheQueue) -> Response:
    """Queue a graph; a 200 may carry node_errors, for one good output is enough."""
    body = await read_json(request)
    number = queue.take_number()
    graph = body.get("prompt")
    if not isinstance(graph, dict):
        return native_error(mistake("no_prompt", "No prompt provided", "No prompt provided"))
    given = body.get("prompt_id")
    if given is not None and not (isinstance(given, str) and _CANONICAL.fullmatch(given)):
        return native_error(_BAD_ID)
    validation = validate(graph, queue.nodes)
    if validation.error is not None:
        return native_error(validation.error, validation.node_errors)
    work = queue.cache.plan(graph, validation.outputs, queue.nodes)
    job, attempt = mock.jobs.find(given, work.text)
    generation = Generation(
        id=given or str(uuid.uuid4()),
        external_id=given,
        job=job,
        attempt=attempt,
        prompt=work.text,
        style="",
        tag=find_tag(request, work.text),
        base_url=base_url(request),
        token=slot_token(request),
    )
    client_id = body.get("client_id")
    client_id = client_id if isinstance(client_id, str) else None
    queue.prepare(Task(generation, number, work, _extra(body), client_id))
    answer = {"prompt_id": generation.id, "number": number, "node_errors": validation.node_errors}
    return await submit(
        mock, generation, reply=lambda _: JSONResponse(answer), shape=native_refusal
    )


@router.get("/queue")
async def get_queue(queue: TheQueue) -> Response:
    """What runs and what waits, whole graphs included."""
    rows = list(queue.open.items())
    return JSONResponse(
        {
            "queue_running": [task.queue_row for it, task in rows if it.state is not State.QUEUED],
            "queue_pending": [task.queue_row for it, task in rows if it.state is State.QUEUED],
        }
    )


@router.post(
    "/queue",
    openapi_extra=json_body(
        "What to drop of what waits", clear={"type": "boolean"}, delete={"type": "array"}
    ),
    response_class=Response,
    responses=RESPONSES,
)
async def post_queue(request: Request, mock: TheMock, queue: TheQueue) -> Response:
    """Drop prompts that wait: all of them, or those of these ids."""
    body = await read_json(request)
    dropped = body.get("delete")
    ids = dropped if isinstance(dropped, list) else []
    for generation in list(queue.open):
        if generation.state is State.QUEUED and (body.get("clear") or generation.id in ids):
            mock.runner.cancel(generation)
    return Response()


@router.post(
    "/interrupt",
    openapi_extra=json_body("What to interrupt", prompt_id={"type": "string"}),
    response_class=Response,
    responses=RESPONSES,
)
async def interrupt(request: Request, mock: TheMock, queue: TheQueue) -> Response:
    """Interrupt this prompt, or the first one that runs; nothing is told when there is none."""
    wanted = (await read_json(request)).get("prompt_id")
    for generation in list(queue.open):
        if generation.state is State.RUNNING and wanted in (None, generation.id):
            mock.runner.cancel(generation)
            break
    return Response()


def _extra(body: dict[str, Any]) -> Graph:
    extra = body.get("extra_data")
    return extra if isinstance(extra, dict) else {}
