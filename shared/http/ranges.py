"""Serve a file whole or in ranges; errors of a range are problems, too."""

from fastapi import Response
from fastapi.responses import FileResponse
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import Message, Receive, Scope, Send

from shared.errors import GenvideoError
from shared.http.problems import from_error


class BadRange(GenvideoError, code="bad_range", status=400, title="The range does not fit"):
    """`Range` is malformed."""


class RangeNotSatisfiable(
    GenvideoError, code="range_not_satisfiable", status=416, title="The range does not fit"
):
    """`Range` asks for bytes that the file does not have."""


class RangedFile(FileResponse):
    """Serve a file with our own errors; the framework's refusals are plain text."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusals: list[Message] = []
        if not is_of_bytes(Headers(scope=scope).get("range", "")):
            headers = MutableHeaders(raw=[*scope["headers"]])
            del headers["range"]
            scope = {**scope, "headers": headers.raw}

        async def unless_refused(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] >= 400:
                refusals.append(message)
            if not refusals:
                await send(message)

        await super().__call__(scope, receive, unless_refused)
        if refusals:
            fits = refusals[0]["status"] != RangeNotSatisfiable.status
            refusal = refused_range(self.headers["content-length"], is_range=not fits)
            await refusal(scope, receive, send)


def is_of_bytes(wanted: str) -> bool:
    """True for a `Range` in bytes; one in another unit counts as none (RFC 9110, 14.2)."""
    return wanted.partition("=")[0].strip().lower() == "bytes"


def refused_range(size: str, *, is_range: bool) -> Response:
    """Return the problem: a range outside of the file, or a malformed one."""
    detail = f"Range: bytes=first-last, within the {size} bytes of the file."
    if is_range:
        return from_error(RangeNotSatisfiable(detail), {"Content-Range": f"bytes */{size}"})
    return from_error(BadRange(detail))
