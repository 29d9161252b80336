"""A file as an answer, whole or in ranges; what is wrong with a range is a problem, too."""

from fastapi import Response
from fastapi.responses import FileResponse
from starlette.types import Message, Receive, Scope, Send

from shared.errors import GenvideoError
from shared.http.problems import from_error


class BadRange(GenvideoError, code="bad_range", status=400, title="The range does not fit"):
    """`Range` is written in a way that nobody understands."""


class RangeNotSatisfiable(
    GenvideoError, code="range_not_satisfiable", status=416, title="The range does not fit"
):
    """`Range` asks for bytes that the file does not have."""


class RangedFile(FileResponse):
    """A file of ours; the framework's refusals of a range are plain text."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusals: list[Message] = []

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


def refused_range(size: str, *, is_range: bool) -> Response:
    """The problem: a range that lies outside of the file, or what is no range."""
    detail = f"Range: bytes=first-last, within the {size} bytes of the file."
    if is_range:
        return from_error(RangeNotSatisfiable(detail), {"Content-Range": f"bytes */{size}"})
    return from_error(BadRange(detail))
