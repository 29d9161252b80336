"""What a route doesn't know is refused, and what it is given twice.

A misspelled filter would else give everything; of two values one would be passed over.
"""

from collections import Counter
from typing import Any

from fastapi import Depends, Request, params
from fastapi.dependencies.utils import get_flat_params, request_params_to_args
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute


async def _check(request: Request) -> None:
    """RequestValidationError that names each such parameter or header, and what else is wrong."""
    route = request.scope["route"]
    if not isinstance(route, APIRoute):
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
        raise RequestValidationError([*found, *others])


ONLY_KNOWN: Any = Depends(_check)
