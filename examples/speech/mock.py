"""The vendor's mock: it reads a text aloud, as a tone that is as long as the text.

`python -m examples.speech.mock` serves it. Ledger, faults, clock and callbacks are the kit's.
"""

import io
import math
import secrets
import wave
from hashlib import sha256
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Request
from pydantic import BaseModel, Field
from pydantic_settings import NoDecode
from starlette.responses import JSONResponse, Response

from services.mock_core.app import build_app, serve
from services.mock_core.callbacks import Body, Wording
from services.mock_core.calls import View, add_files, base_url, look_up, requested, submit
from services.mock_core.client import may_call
from services.mock_core.clock import Delay, DelaySpec, milliseconds
from services.mock_core.ledger import Generation, State
from services.mock_core.mock import Mock, TheMock
from services.mock_core.problems import Problem, documented, problem_reply
from services.mock_core.settings import Called, MockSettings, RuntimeConfig, called, load

# The vendor's words, and those of a rule's `match.status`.
WORDS = {
    State.QUEUED: "waiting",
    State.RUNNING: "reading",
    State.SUCCEEDED: "done",
    State.FAILED: "failed",
    State.CANCELLED: "failed",
}
TOLD = {
    State.RUNNING: "processing",
    State.SUCCEEDED: "succeed",
    State.FAILED: "failed",
    State.CANCELLED: "failed",
}
SECONDS_A_CHARACTER = 0.06
RATE = 8000


class SpeechMockSettings(MockSettings):
    speech_port: Annotated[int, Field(ge=1, le=65535)] = 16883
    mock_speech_seconds: Annotated[Delay, NoDecode] = DelaySpec(20)
    mock_services: str = "image,video,speech"
    mock_callback_hosts: Called = ""


class Order(BaseModel):
    """`reference` is the caller's own id; a second order of the same one is refused."""

    text: Annotated[str, Field(min_length=1, max_length=5000)]
    reference: Annotated[str, Field(min_length=1, max_length=255)] | None = None
    callback_url: Annotated[str, Field(pattern=r"^https?://[^\s/]+", max_length=2048)] | None = None


def create_app(settings: SpeechMockSettings) -> FastAPI:
    config = RuntimeConfig(speed=settings.mock_speed, seconds=settings.mock_speech_seconds)
    mock = Mock("speech", settings, config=config, refusal=refuse, calls_back=True)

    async def make(generation: Generation) -> str:
        name = f"{generation.id}.wav"
        mock.files.put(name, tone(generation.prompt), "audio/wav", generation)
        return name

    mock.runner.make = make
    mock.sender.wording = WORDING
    app = build_app(mock, title="Mock speech service", routers=(router,))
    app.state.hosts = called(settings.mock_callback_hosts)
    return app


def tone(text: str) -> bytes:
    """A WAV whose length tells the text's, and whose pitch the text.

    It begins with the text's hash, because the judge takes equal files of two jobs for one file.
    """
    digest = sha256(text.encode()).digest()
    period = 12 + digest[0] % 40
    wave_ = bytes(round(128 + 80 * math.sin(math.tau * each / period)) for each in range(period))
    frames = round(len(text) * SECONDS_A_CHARACTER * RATE)
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(1)
        file.setframerate(RATE)
        file.writeframes((digest + wave_ * (frames // period + 1))[:frames])
    return out.getvalue()


def refuse(
    status: int | None, code: int | str | None, message: str | None, headers: dict[str, str]
) -> Response:
    """The vendor has HTTP statuses and no codes of its own."""
    if status is None:
        status = 429 if str(code) in ("1302", "1303") else 503
    return problem_reply(status, code or "refused", detail=message or "not now", headers=headers)


def _task_body(generation: Generation) -> Body:
    return {
        "id": generation.id,
        "reference": generation.external_id,
        "state": WORDS[generation.state],
        "at": milliseconds(generation.updated),
        "error": generation.error,
    }


WORDING = Wording(
    words=TOLD,
    describe=_task_body,
    rename=lambda body, vendor_id, ours: {**body, "id": vendor_id, "reference": ours},
    contradict=lambda body: {**body, "state": "done" if body["state"] == "failed" else "failed"},
)
router = APIRouter(tags=["speech"], prefix="/speech")


@router.post("", status_code=202, responses=documented(422))
async def order_speech(request: Request, mock: TheMock, wanted: Order) -> Response:
    """Accept a text; 409 for a reference in use, 400 for an address that can't be called."""
    url = wanted.callback_url
    if url is not None and not may_call(url, request.app.state.hosts):
        raise Problem(400, "bad_callback_url", detail="its host is not in MOCK_CALLBACK_HOSTS")
    generation = requested(
        request,
        mock,
        id_=secrets.token_hex(8),
        external_id=wanted.reference,
        prompt=wanted.text,
    )
    generation.callback_url = url
    in_use = refuse(409, "in_use", "the reference is in use", {})
    return await submit(mock, generation, reply=_accepted, duplicate=in_use)


add_files(router, "/files/{name}", "audio/wav")


@router.get("/{any_id}", responses=documented(404))
async def speech_status(request: Request, mock: TheMock, any_id: str) -> Response:
    """Where a text stands; by the vendor's id or the caller's."""
    base = base_url(request)

    def reply(generation: Generation, view: View) -> Response:
        body: dict[str, Any] = {
            "id": generation.id,
            "reference": generation.external_id,
            "state": view.word or WORDS[view.state],
            "percent": view.percent,
            "error": view.error,
            "file": view.file_name and f"{base}/speech/files/{view.file_name}",
        }
        return JSONResponse(body)

    return await look_up(mock, mock.ledger.find(any_id), reply=reply)


@router.delete("/{any_id}", status_code=204, responses=documented(404))
async def cancel_speech(mock: TheMock, any_id: str) -> Response:
    """Stop reading; what has ended stays as it is."""
    generation = mock.ledger.find(any_id)
    if generation is None:
        raise Problem(404, "not_found", detail="no such text")
    mock.runner.cancel(generation)
    return Response(status_code=204)


def _accepted(generation: Generation) -> Response:
    return JSONResponse({"id": generation.id, "reference": generation.external_id}, status_code=202)


if __name__ == "__main__":
    chosen = load(SpeechMockSettings)
    serve(create_app(chosen), chosen, port=chosen.speech_port, name="mock-speech")
