"""`Accept` is heeded: whoever can't read what a route gives hears so, and nothing is done."""

from typing import Annotated, Any

from fastapi import Depends, Header

from shared.errors import GenvideoError

JSON = "application/json"
EVENTS = "text/event-stream"


class NotAcceptable(
    GenvideoError, code="not_acceptable", status=406, title="Not in a form that is accepted"
):
    """The caller's `Accept` names nothing that the route can give."""


def produces(media_type: str) -> Any:
    """A dependency of routes that answer in this form alone."""

    async def check(accept: Annotated[str | None, Header(include_in_schema=False)] = None) -> None:
        if accept and not _accepts(accept, media_type):
            raise NotAcceptable(f"This is {media_type}; Accept: {accept[:100]} leaves it out.")

    return Depends(check)


def _accepts(accept: str, media_type: str) -> bool:
    kind = media_type.partition("/")[0]
    fitting = {"*/*", f"{kind}/*", media_type}
    return any(_wanted(each, fitting) for each in accept.split(","))


def _wanted(item: str, fitting: set[str]) -> bool:
    media_range, *parameters = (part.strip().lower() for part in item.split(";"))
    refused = any(part in ("q=0", "q=0.0", "q=0.00", "q=0.000") for part in parameters)
    return media_range in fitting and not refused
