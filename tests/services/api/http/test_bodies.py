"""What a user sends is strict, though messages are not: an unknown field is a 422 that names it."""

from typing import Any

import pytest
from fastapi.routing import APIRoute

from services.api.http.routes import router
from tests.messages.test_messages import ALL, BODIES
from tests.services.api.conftest import Api

JOB = {"prompt": "a fox", "style": "ink"}
WRONG = [
    ("POST", "/jobs", {**JOB, "stile": "ink"}, "stile"),
    ("POST", "/batches", {"jobs": [JOB], "tga": "t"}, "tga"),
    ("POST", "/batches", {"jobs": [{**JOB, "stile": "ink"}]}, "stile"),
    ("POST", "/batches", {"count": 2, "job": {**JOB, "stile": "ink"}}, "stile"),
    ("PUT", "/slots", {"limit": 1, "puased": True}, "puased"),
    ("POST", "/slots/job/free", {"run_id": "x", "job_id": "y"}, "job_id"),
]


@pytest.mark.parametrize(("method", "path", "body", "field"), WRONG)
async def test_an_unknown_field_is_told(
    api: Api, method: str, path: str, *, body: dict[str, Any], field: str
) -> None:
    answer = await api.http.request(method, path, json=body)
    assert answer.status_code == 422
    assert field in answer.text


def test_no_route_takes_another_body() -> None:
    bodies = {
        route.body_field.field_info.annotation
        for route in router.routes
        if isinstance(route, APIRoute) and route.body_field
    }
    assert bodies == {ALL[name] for name in BODIES}
