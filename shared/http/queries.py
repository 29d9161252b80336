"""What a route doesn't know is refused, and what it is given twice; the same for sockets.

A misspelled filter would else give everything; of two values one would be passed over.
"""

from collections import Counter
from typing import Any

from fastapi import Depends, params
from fastapi.dependencies.utils import get_flat_params, request_params_to_args
from fastapi.exceptions import RequestValidationError, WebSocketRequestValidationError
from fastapi.routing import APIRoute, APIWebSocketRoute
from starlette.requests import HTTPConnection


async def _check(request: HTTPConnection) -> None:
    """A validation error that names each such parameter or header, and what else is wrong."""
    route = request.scope["route"]
    if not isinstance(route, APIRoute | APIWebSocketRoute):
        return
    fields = get_flat_params(route.dependant)
    queries = [field for field in fields if isinstance(field.field_info, params.Query)]
    known = {field.alias for field in queries}
    given = Counter(name for name, _ in request.query_params.multi_items())
    unknown = [("unknown_parameter", "query", name) for name in given if name not in known]
    twice = [("repeated", "query", name) for name in known if given[name] > 1]
    for field in fields:
        name = field.alias.replace("_", "-")
        if isinstance(field.field_info, params.Header) and len(request.headers.getlist(name)) > 1:
            twice.append(("repeated", "header", name))
    if unknown or twice:
        _, others = request_params_to_args(queries, request.query_params)
        found = [{"type": kind, "loc": (where, name)} for kind, where, name in (*unknown, *twice)]
        opens = isinstance(route, APIWebSocketRoute)
        refusal = WebSocketRequestValidationError if opens else RequestValidationError
        raise refusal([*found, *others])


ONLY_KNOWN: Any = Depends(_check)
