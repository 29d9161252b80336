"""The application that both mocks start from: lifespan, health, metrics, problems, admin routes."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import APIRouter, FastAPI, Request
from starlette.responses import Response

from services.mock_core.admin import routes as admin
from services.mock_core.http import problems
from services.mock_core.http.date import DateLayer
from services.mock_core.http.documentation import add_documentation
from services.mock_core.http.guard import Guard
from services.mock_core.http.journal import JournalLayer
from services.mock_core.http.openapi import DocumentedApp
from services.mock_core.metrics import CONTENT_TYPE
from services.mock_core.mock import Mock, mock_of

Hook = Callable[[], Awaitable[None]]

_health = APIRouter(tags=["health"])


@_health.head("/healthz", include_in_schema=False)
@_health.get("/healthz")
async def healthz() -> dict[str, str]:
    return {"status": "ok"}


@_health.head("/readyz", include_in_schema=False)
@_health.get("/readyz")
async def readyz() -> dict[str, str]:
    """A mock depends on nothing: ready as soon as it answers."""
    return {"status": "ok"}


@_health.head("/metrics", include_in_schema=False)
@_health.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def metrics(request: Request) -> Response:
    """Prometheus text format."""
    return Response(mock_of(request).metrics.render(), media_type=CONTENT_TYPE)


def build_app(
    mock: Mock,
    *,
    title: str,
    description: str = "",
    routers: Sequence[APIRouter],
    examples: Path,
    on_start: Sequence[Hook] = (),
    on_stop: Sequence[Hook] = (),
    now: Callable[[], float] = time.time,
) -> FastAPI:
    """`now` is the instant that replies are dated by; `examples` a file of bodies, for the
    OpenAPI file.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await mock.sender.open()
        for hook in on_start:
            await hook()
        yield
        # The runs first: what one announces after the sender has closed would never be sent.
        await mock.runner.forget_all()
        await mock.sender.close()
        for hook in on_stop:
            await hook()

    app = DocumentedApp(
        examples=examples,
        title=title,
        description=description,
        version="1",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    app.state.mock = mock
    problems.install(app)
    app.add_middleware(
        JournalLayer,
        journal=mock.journal,
        requests=mock.metrics.requests,
    )
    # The last that is added is the first that is asked.
    app.add_middleware(Guard, hosts=mock.settings.hosts)
    app.add_middleware(DateLayer, now=now)
    for router in (*routers, admin.router, _health):
        app.include_router(router)
    add_documentation(app)
    return app
