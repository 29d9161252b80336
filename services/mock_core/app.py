"""The app that both mocks share: health, metrics, problems, admin routes."""

import logging
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from email.utils import formatdate
from types import MappingProxyType

import uvicorn
from fastapi import APIRouter, FastAPI
from prometheus_client import generate_latest
from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.mock_core import admin
from services.mock_core.broken import ResettableProtocol
from services.mock_core.mock import Mock, TheMock
from services.mock_core.problems import MockApp, Problem, on_problem
from services.mock_core.settings import MockSettings, configure_logs
from shared.http import problems
from shared.http.app import Sockets
from shared.http.bodies import Limit
from shared.http.documentation import add_documentation
from shared.http.hosts import PROCESS_HEADER, listed

Hook = Callable[[], Awaitable[None]]
MEBIBYTE = 1024 * 1024
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_health = APIRouter(tags=["health"])


@_health.head("/healthz", include_in_schema=False)
@_health.get("/healthz")
async def healthz() -> dict[str, str]:
    return {"status": "ok"}


@_health.head("/readyz", include_in_schema=False)
@_health.get("/readyz")
async def readyz(response: Response) -> dict[str, str]:
    """A mock has no dependencies, so it is ready as soon as it answers."""
    response.headers[PROCESS_HEADER] = str(os.getpgrp())
    return {"status": "ok"}


@_health.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def metrics(mock: TheMock) -> Response:
    """Prometheus text format."""
    return Response(generate_latest(mock.registry), media_type=CONTENT_TYPE)


def build_app(
    mock: Mock,
    *,
    title: str,
    description: str = "",
    routers: Sequence[APIRouter],
    limits: Mapping[str, Limit] = MappingProxyType({}),
    shapes: Mapping[str, problems.Shape] = MappingProxyType({}),
    on_start: Sequence[Hook] = (),
    on_stop: Sequence[Hook] = (),
    now: Callable[[], float] = time.time,
) -> FastAPI:
    """Build the app.

    `now` dates replies. `limits` allow larger bodies, and `shapes` have the errors of other wires,
    both by path prefix.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await mock.sender.open()
        for hook in on_start:
            await hook()
        yield
        # Stop the runs first, because a callback that is announced after the sender has closed is
        # lost.
        await mock.runner.forget_all()
        await mock.sender.close()
        for hook in on_stop:
            await hook()

    app = MockApp(
        title=title,
        description=description,
        version="1",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    app.limits = {**limits, "/": Limit(MEBIBYTE)}
    app.hosts = listed(mock.settings.allowed_hosts)
    app.state.mock = mock
    problems.install(app, shapes)
    app.add_exception_handler(Problem, on_problem)
    app.add_middleware(JournalLayer, mock=mock, now=now)
    for router in (*routers, admin.router, _health):
        app.include_router(router)
    add_documentation(app)
    return app


_QUIET = ("/admin", "/healthz", "/readyz", "/metrics")


class JournalLayer:
    """Date each reply by the vendor's clock, which may be wrong, and note the request.

    `now` is the vendor's time in epoch seconds. Without a status the reply never began.
    """

    def __init__(self, app: ASGIApp, *, mock: Mock, now: Callable[[], float]) -> None:
        self._app = app
        self._mock = mock
        self._now = now

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status, started = 0, time.time()

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["Date"] = formatdate(self._now(), usegmt=True)
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            if not scope["path"].startswith(_QUIET):
                self._mock.requests.labels(scope["method"], str(status)).inc()
                self._mock.journal.append(
                    {
                        "at": started,
                        "method": scope["method"],
                        "path": scope["path"][:500],
                        "query": scope["query_string"].decode("latin-1")[:500],
                        "status": status or None,
                        "seconds": round(time.time() - started, 6),
                    }
                )


_GRACE_SECONDS = 2
# Further connections get 503, as from a busy vendor.
_CONNECTIONS = 5000


def serve(app: FastAPI, settings: MockSettings, *, port: int, name: str) -> None:
    configure_logs(settings, service=name)
    config = uvicorn.Config(
        app,
        host=settings.listen_host,
        port=port,
        http=ResettableProtocol,
        ws=Sockets,
        log_config=None,
        access_log=False,
        date_header=False,
        proxy_headers=False,
        limit_concurrency=_CONNECTIONS,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    uvicorn.Server(config).run()
