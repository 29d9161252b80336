"""From raw bytes to a callback; each step refuses before the next one costs anything."""

import asyncio
from typing import Any

from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from pydantic_core import from_json
from starlette.requests import ClientDisconnect, Request

from services.callback.errors import NotKept
from services.callback.models import Callback
from shared.errors import BodyTooLarge, GenvideoError, NotJson

MAX_BODY = 256 * 1024
# Within this the whole body must have come; a vendor needs milliseconds.
READ_SECONDS = 5.0
# All bodies that are being read, together: some hundred of the largest, any number of usual ones.
MAX_READING = 32 * 1024 * 1024


class BodyTooSlow(
    GenvideoError, code="body_too_slow", status=408, title="The body came too slowly"
):
    """It did not come within the time that the service holds a connection for it."""


class Reader:
    """Reads bodies; at any time they hold no more than `MAX_READING` together."""

    def __init__(self) -> None:
        self._reading = 0

    async def read(self, request: Request, *, keep: bool) -> bytes:
        """The raw body, which is read and forgotten where it isn't to be kept.

        BodyTooSlow, BodyTooLarge, or NotKept where too many come at once.
        """
        chunks: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(READ_SECONDS):
                async for chunk in request.stream():
                    size += len(chunk)
                    if size > MAX_BODY:
                        raise BodyTooLarge(f"At most {MAX_BODY} bytes.")
                    if keep:
                        self._reserve(len(chunk))
                        chunks.append(chunk)
        except (TimeoutError, ClientDisconnect) as error:
            raise BodyTooSlow(f"The body did not come within {READ_SECONDS:g} s.") from error
        finally:
            self._reading -= sum(map(len, chunks))
        return b"".join(chunks)

    def _reserve(self, size: int) -> None:
        if self._reading + size > MAX_READING:
            raise NotKept("Too many callbacks at once; try again in a moment.")
        self._reading += size


def check_type(content_type: str) -> None:
    """NotJson unless the media type is JSON's."""
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type != "application/json" and not (
        media_type.startswith("application/") and media_type.endswith("+json")
    ):
        raise NotJson("Send application/json.")


def parse(raw: bytes) -> Callback:
    """The callback, flat or enveloped; a problem that names each wrong field."""
    try:
        body = from_json(raw)
    except ValueError as error:
        told = {"type": "json_invalid", "loc": ("body",), "ctx": {"error": str(error)}}
        raise RequestValidationError([told]) from error
    try:
        return Callback.model_validate(_inner(body))
    except ValidationError as error:
        raise RequestValidationError(_errors(error)) from error


def _inner(body: Any) -> Any:
    """The callback inside `{code, message, request_id, data}`; other copies of the vendor's
    documentation show it bare."""
    if isinstance(body, dict) and "task_id" not in body and isinstance(body.get("data"), dict):
        return body["data"]
    return body


def _errors(error: ValidationError) -> list[dict[str, Any]]:
    found = error.errors(include_input=False, include_url=False)
    return [{**item, "loc": ("body", *item["loc"])} for item in found]
