"""Refuse query parameters that a route does not know, and parameters and headers of a route that
are given twice; for sockets, too.

Otherwise a misspelled filter would return everything, and one of two values would be dropped.
"""

from collections import Counter
from typing import Any

from fastapi import Depends, params
from fastapi.dependencies.utils import get_flat_params
from fastapi.exceptions import RequestValidationError, WebSocketRequestValidationError
from fastapi.routing import APIRoute, APIWebSocketRoute
from starlette.requests import HTTPConnection


async def _check(request: HTTPConnection) -> None:
    route = request.scope["route"]
    if not isinstance(route, APIRoute | APIWebSocketRoute):
        return
    fields = get_flat_params(route.dependant)
    known = {field.alias for field in fields if isinstance(field.field_info, params.Query)}
    given = Counter(name for name, _ in request.query_params.multi_items())
    wrong = [
        {"type": "repeated" if name in known else "unknown_parameter", "loc": ("query", name)}
        for name, count in given.items()
        if name not in known or count > 1
    ]
    headers = [field.alias for field in fields if isinstance(field.field_info, params.Header)]
    wrong += [
        {"type": "repeated", "loc": ("header", name)}
        for name in headers
        if len(request.headers.getlist(name)) > 1
    ]
    if wrong:
        opens = isinstance(route, APIWebSocketRoute)
        raise (WebSocketRequestValidationError if opens else RequestValidationError)(wrong)


ONLY_KNOWN: Any = Depends(_check)
