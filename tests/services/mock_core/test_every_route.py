"""Generated requests to every route of both mocks: no failure of the server unless asked for."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings

from services.mock_kling.config import DEFAULT_SECRET_KEY
from tests.services.mock_core.serving import comfyui, kling, served

EXAMPLES = 12
# The real ComfyUI answers a body that is no JSON with its own trouble, and so does the mock.
TROUBLE = "500 Internal Server Error\n\nServer got itself in trouble"


@contextlib.contextmanager
def in_thread(app: Any) -> Iterator[str]:
    """The application on a socket, in a loop of its own."""
    loop = asyncio.new_event_loop()
    started, stop = threading.Event(), asyncio.Event()
    bases: list[str] = []

    async def serve() -> None:
        async with served(app) as base:
            bases.append(base)
            started.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert started.wait(10)
    try:
        yield bases[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


def bearer() -> dict[str, str]:
    claims = {"iss": "mock-access-key", "exp": int(time.time()) + 1800}
    token = jwt.encode(claims, DEFAULT_SECRET_KEY, algorithm="HS256")
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize("make", [comfyui, kling], ids=["image", "video"])
def test_no_route_fails_of_itself(make: Any) -> None:
    app = make()
    with in_thread(app) as base:
        schema = schemathesis.openapi.from_url(f"{base}/openapi.json")
        found: list[Any] = list(schema.get_all_operations())
        operations = [result.ok() for result in found]
        assert len(operations) > 15
        for operation in operations:
            _try_many(operation, app)


def _try_many(operation: Any, app: Any) -> None:
    @given(case=operation.as_strategy())
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    def check(case: Any) -> None:
        reply = case.call(headers=bearer())
        # What a generated plan asks for is no failure of the next request.
        app.state.mock.plan.clear()
        asked_for = reply.status_code == 500 and reply.text == TROUBLE
        assert reply.status_code < 500 or asked_for, (operation.label, reply.text)

    check()
