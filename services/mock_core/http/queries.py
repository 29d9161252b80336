"""What a route of ours doesn't know is refused, and what it is given twice.

A misspelled name would else mean every row, or every rule.
"""

from collections import Counter

from fastapi import Request, params
from fastapi.dependencies.utils import get_flat_params
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute


async def only_known(request: Request) -> None:
    """RequestValidationError that names each such parameter."""
    route = request.scope["route"]
    assert isinstance(route, APIRoute)  # noqa: S101 - the dependency of such routes alone
    fields = get_flat_params(route.dependant)
    known = {each.alias for each in fields if isinstance(each.field_info, params.Query)}
    given = Counter(name for name, _ in request.query_params.multi_items())
    wrong = [
        {"type": "repeated" if name in known else "unknown_parameter", "loc": ("query", name)}
        for name, count in given.items()
        if name not in known or count > 1
    ]
    if wrong:
        raise RequestValidationError(wrong)
