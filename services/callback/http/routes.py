"""The address that the vendor calls back, and the list of receipts."""

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response

from services.callback.books.book import Book
from services.callback.errors import NotAuthorized, NotKept
from services.callback.http import body
from services.callback.http.body import BodyTooSlow
from services.callback.models import Callback, Fate, Receipt
from services.callback.receiver import ReceiptNotFound, ReceiptNotReplayable, Receiver
from shared.errors import RouteNotFound
from shared.http.problems import documented
from shared.http.queries import ONLY_KNOWN
from shared.jobs.ids import is_job_id
from shared.jobs.messages import Message

MAX_RECEIPTS = 1000
router = APIRouter(tags=["callbacks"])


class Taken(Message):
    """The answer to a callback."""

    fate: Fate


async def _receiver(request: Request) -> Receiver:
    receiver = request.app.state.receiver
    assert isinstance(receiver, Receiver)  # noqa: S101 - the lifespan sets it before any request
    return receiver


ReceiverDep = Annotated[Receiver, Depends(_receiver)]


def _inlined(schema: Any, definitions: dict[str, Any]) -> Any:
    """A schema without references, as it stands outside the document's own components."""
    if isinstance(schema, list):
        return [_inlined(each, definitions) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _inlined(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    return {key: _inlined(value, definitions) for key, value in schema.items() if key != "$defs"}


_SCHEMA = Callback.model_json_schema()
_EXAMPLE: dict[str, Any] = {
    "task_id": "831937841",
    "task_status": "succeed",
    "updated_at": 1722769557708,
    "task_info": {"external_task_id": "job-0123456789abcdef01234567.video.1"},
}
# One of each message, for the documentation.
EXAMPLES: dict[str, dict[str, Any]] = {
    "Taken": {"fate": "applied"},
    "Receipt": {
        "receipt_id": 17,
        "received_at": "2026-01-02T03:04:06.200000Z",
        "job_id": "job-0123456789abcdef01234567",
        "task_id": _EXAMPLE["task_id"],
        "task_status": _EXAMPLE["task_status"],
        "fate": "applied",
        "external_id": "job-0123456789abcdef01234567.video.1",
        "updated_at": _EXAMPLE["updated_at"],
        "quarantined": False,
        "replay_of": None,
    },
}
# Read by hand: the body after the token has been looked at, and all of it at a quarter less of what
# a request costs.
_INPUT: dict[str, Any] = {
    "parameters": [
        {
            "name": name,
            "in": "query",
            "schema": {"type": "string", "default": ""},
            "description": "As our callback address carries it.",
        }
        for name in ("task", "token")
    ],
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": _inlined(_SCHEMA, _SCHEMA.get("$defs", {})),
                "example": _EXAMPLE,
            }
        },
    },
}


def _answer(fate: Fate) -> Callable[[], Response]:
    content = Taken(fate=fate).model_dump_json().encode()
    status = 202 if fate is Fate.UNKNOWN else 200
    return lambda: Response(content, status, media_type="application/json")


# Made once: FastAPI would check and encode each answer anew.
_ANSWERS = {fate: _answer(fate) for fate in Fate}


@router.post(
    "/callback/kling",
    operation_id="receive_callback",
    response_model=None,
    responses={
        200: {"model": Taken, "description": "Noted"},
        202: {
            "model": Taken,
            "description": "Of nothing that we know, and kept",
            "content": {"application/json": {"example": {"fate": "unknown"}}},
        },
        **documented(404, BodyTooSlow, 413, 415, 422, 503, NotKept),
    },
    openapi_extra=_INPUT,
)
async def receive_callback(request: Request) -> Response:
    """Take a callback, bare or inside `{code, message, request_id, data}`.

    200: noted (its fate is told); 202: nothing that we know, yet kept; 404: the token isn't this
    task's, or a signature that came isn't the vendor's; 503 with Retry-After: Temporal is away, and
    the callback is kept all the same.
    """
    receiver = await _receiver(request)
    task = request.query_params.get("task", "")
    authentic = receiver.authentic(task, request.query_params.get("token", ""))
    raw = await request.app.state.reader.read(request, keep=authentic)
    if not authentic:
        raise RouteNotFound("Not found")
    if not request.app.state.signatures.fits(request.headers, raw):
        receiver.forged(task)
        raise RouteNotFound("Not found")
    body.check_type(request.headers.get("content-type", ""))
    entry = await receiver.receive(task, body.parse(raw))
    if entry.fate is Fate.REJECTED:
        raise RouteNotFound("Not found")
    return _ANSWERS[entry.fate or Fate.UNKNOWN]()


@router.get(
    "/callbacks",
    operation_id="list_receipts",
    dependencies=[ONLY_KNOWN],
    responses=documented(422, 503),
)
async def list_receipts(
    receiver: ReceiverDep,
    job_id: Annotated[str | None, Query(max_length=64)] = None,
    *,
    limit: Annotated[int, Query(ge=1, le=MAX_RECEIPTS)] = MAX_RECEIPTS,
) -> list[Receipt]:
    """The newest receipts of one job, or of all; the oldest of them first."""
    if job_id is not None and not is_job_id(job_id):
        return []
    newest = partial(Book.newest, job_id=job_id, limit=limit)
    entries = await receiver.committer.run(newest, job_id)
    return [entry.receipt() for entry in entries]


@router.post(
    "/callbacks/{receipt_id}/replay",
    operation_id="replay_receipt",
    responses=documented(NotAuthorized, ReceiptNotFound, ReceiptNotReplayable, 422, 503),
)
async def replay_receipt(
    request: Request,
    receipt_id: Annotated[int, Path(ge=1, lt=2**63)],
    receiver: ReceiverDep,
    *,
    authorization: Annotated[str, Header(description="`Bearer` and the operator's key.")] = "",
) -> Receipt:
    """Judge a noted callback once more, by the job as it is now; the new receipt.

    The port is open to the vendor, so this takes the operator's key.
    """
    request.app.state.operator.check(authorization)
    return (await receiver.replay(receipt_id)).receipt()
