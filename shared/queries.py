"""Unknown query parameters are refused: a misspelled filter would else give everything."""

from typing import Any

from fastapi import Depends, Request, params
from fastapi.dependencies.utils import get_flat_params
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute


async def _check(request: Request) -> None:
    """RequestValidationError that names each parameter which the route doesn't know."""
    route = request.scope["route"]
    if not request.query_params or not isinstance(route, APIRoute):
        return
    fields = get_flat_params(route.dependant)
    known = {field.alias for field in fields if isinstance(field.field_info, params.Query)}
    unknown = [name for name in request.query_params if name not in known]
    if unknown:
        raise RequestValidationError(
            [{"type": "unknown_parameter", "loc": ("query", name)} for name in unknown]
        )


ONLY_KNOWN: Any = Depends(_check)
