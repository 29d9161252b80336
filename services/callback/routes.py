"""The callback address, and the list of receipts."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.exceptions import RequestValidationError
from starlette.requests import ClientDisconnect

from services.callback.kling import Callback
from services.callback.models import Fate, NotKept, Receipt, parse
from services.callback.receiver import Receiver
from shared.errors import BodyTooLarge, GenvideoError, NotJson, RouteNotFound
from shared.http.app import of_state
from shared.http.bodies import require_json
from shared.http.problems import documented
from shared.http.queries import ONLY_KNOWN
from shared.jobs.ids import is_job_id
from shared.jobs.messages import Message

MAX_BODY = 256 * 1024
# The whole body must come within this time; a vendor needs milliseconds.
READ_SECONDS = 5.0
router = APIRouter(tags=["callbacks"])


class BodyTooSlow(GenvideoError, status=408, title="The body came too slowly"):
    """The body did not come in time."""


class Taken(Message):
    """The answer to a callback: its fate."""

    fate: Fate


ReceiverDep = Annotated[Receiver, of_state("receiver", Receiver)]


# The body is read by hand, because the token is checked before it: its schemas are added by hand.
_CALLBACK = Callback.model_json_schema(ref_template="#/components/schemas/{model}")
SCHEMAS: dict[str, Any] = {**_CALLBACK.pop("$defs"), "Callback": _CALLBACK}
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"$ref": "#/components/schemas/Callback"}},
        },
    },
}

_FromUs = Annotated[str, Query(description="As in our callback address.")]


@router.post(
    "/callback/kling",
    operation_id="receive_callback",
    responses=documented(404, BodyTooSlow, 413, 415, 422, 503, NotKept),
    openapi_extra=_BODY,
)
async def receive_callback(
    request: Request, receiver: ReceiverDep, *, task: _FromUs = "", token: _FromUs = ""
) -> Taken:
    """Take a callback, bare or inside `{code, message, request_id, data}`.

    200: noted, with its fate; 404: the token is wrong, or no such job or task is known; 503 with
    Retry-After: Temporal or the store is away, and the poll finds the end.
    """
    return await _receive("kling", request, receiver, task=task, token=token)


@router.post("/callback/{form}", include_in_schema=False)
async def receive_other(
    form: str, request: Request, receiver: ReceiverDep, *, task: str = "", token: str = ""
) -> Taken:
    """The same for another pipeline, whose callbacks have another form."""
    return await _receive(form, request, receiver, task=task, token=token)


async def _receive(
    form: str, request: Request, receiver: Receiver, *, task: str, token: str
) -> Taken:
    if not await receiver.authentic(task, token, form=form):
        raise RouteNotFound("Not found")
    async with receiver.room:
        try:
            raw = await _read(request)
            callback = parse(raw, request.app.state.readers[form])
        except (BodyTooSlow, BodyTooLarge, NotJson, RequestValidationError):
            await receiver.refused(task)
            raise
        fate = await receiver.receive(task, callback, form=form)
    if fate in (Fate.REJECTED, Fate.UNKNOWN):
        raise RouteNotFound("Not found")
    return Taken(fate=fate)


async def _read(request: Request) -> bytes:
    require_json(request.headers)
    raw = bytearray()
    try:
        async with asyncio.timeout(READ_SECONDS):
            async for chunk in request.stream():
                raw += chunk
                if len(raw) > MAX_BODY:
                    raise BodyTooLarge(f"At most {MAX_BODY} bytes.")
    except (TimeoutError, ClientDisconnect) as error:
        raise BodyTooSlow(f"The body did not come within {READ_SECONDS:g} s.") from error
    return bytes(raw)


@router.get(
    "/callbacks",
    operation_id="list_receipts",
    dependencies=[ONLY_KNOWN],
    responses=documented(422, 503, NotKept),
)
async def list_receipts(
    receiver: ReceiverDep, job_id: Annotated[str, Query(max_length=64)]
) -> list[Receipt]:
    """The receipts of one job, oldest first; at most 150."""
    if not is_job_id(job_id):
        return []
    return await asyncio.to_thread(receiver.receipts.of_job, job_id)
