"""What a route doesn't know is refused, and what it is given twice; the same for sockets.

A misspelled filter would else give everything; of two values one would be passed over.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fastapi import Depends, params
from fastapi.dependencies.utils import (
    get_flat_params,
    request_body_to_args,
    request_params_to_args,
)
from fastapi.exceptions import RequestValidationError, WebSocketRequestValidationError
from fastapi.routing import APIRoute, APIWebSocketRoute
from starlette.requests import HTTPConnection, Request


async def _check(request: HTTPConnection) -> None:
    """A validation error that names each such parameter or header, and what else is wrong."""
    route = request.scope["route"]
    if not isinstance(route, APIRoute | APIWebSocketRoute):
        return
    fields = get_flat_params(route.dependant)
    known = {field.alias for field in fields if isinstance(field.field_info, params.Query)}
    given = Counter(name for name, _ in request.query_params.multi_items())
    headers = {_name(field) for field in fields if isinstance(field.field_info, params.Header)}
    found = [
        *(("unknown_parameter", "query", name) for name in given if name not in known),
        *(("repeated", "query", name) for name in given if name in known and given[name] > 1),
        *(("repeated", "header", n) for n in headers if len(request.headers.getlist(n)) > 1),
    ]
    if found:
        wrong = [{"type": kind, "loc": (where, name)} for kind, where, name in found]
        named = {name for _, _, name in found}
        others = [field for field in fields if _name(field) not in named]
        wrong += [*_wrong_with(others, request), *await _wrong_with_body(route, request)]
        opens = isinstance(route, APIWebSocketRoute)
        raise (WebSocketRequestValidationError if opens else RequestValidationError)(wrong)


def _name(field: Any) -> str:
    """As it is given; a header's own is made from that of an argument."""
    alias: str = field.alias
    return alias.replace("_", "-") if isinstance(field.field_info, params.Header) else alias


def _wrong_with(fields: Sequence[Any], request: HTTPConnection) -> Iterator[dict[str, Any]]:
    places: list[tuple[type, Mapping[str, Any]]] = [
        (params.Path, request.path_params),
        (params.Query, request.query_params),
        (params.Header, request.headers),
    ]
    for kind, values in places:
        of_kind = [field for field in fields if isinstance(field.field_info, kind)]
        yield from request_params_to_args(of_kind, values)[1]


async def _wrong_with_body(
    route: APIRoute | APIWebSocketRoute, request: HTTPConnection
) -> list[dict[str, Any]]:
    """The body is read by now, and would be looked at only where nothing else is wrong."""
    fields = route.dependant.body_params
    if not fields or not isinstance(request, Request):
        return []
    body = await request.json() if await request.body() else None
    _, wrong = await request_body_to_args(fields, body, embed_body_fields=False)
    return wrong


ONLY_KNOWN: Any = Depends(_check)
