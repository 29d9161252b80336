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


def produces(*media_types: str) -> Any:
    """A dependency of routes that answer in one of these forms alone."""

    async def check(accept: Annotated[str | None, Header(include_in_schema=False)] = None) -> None:
        check_accepted(accept, *media_types)

    return Depends(check)


def check_accepted(accept: str | None, *media_types: str) -> None:
    """NotAcceptable for an `Accept` that leaves all of these out."""
    if accept and not any(_accepts(accept, each) for each in media_types):
        raise NotAcceptable(f"This is {' or '.join(media_types)}; Accept: {accept[:100]} is not.")


def _accepts(accept: str, media_type: str) -> bool:
    kind = media_type.partition("/")[0]
    fitting = {"*/*", f"{kind}/*", media_type}
    return any(_wanted(each, fitting) for each in accept.split(","))


def _wanted(item: str, fitting: set[str]) -> bool:
    media_range, *parameters = (part.strip().lower() for part in item.split(";"))
    refused = any(part in ("q=0", "q=0.0", "q=0.00", "q=0.000") for part in parameters)
    return media_range in fitting and not refused
