"""The parts of every HTTP service: liveness, readiness with reasons, metrics, problems."""

import asyncio
import os
import resource
import socket
import sys
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import uvicorn
from fastapi import FastAPI, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, Gauge, generate_latest
from starlette.types import ASGIApp

from shared.errors import NotReady
from shared.files import digest
from shared.http import problems
from shared.http.app import ServiceApp, Sockets
from shared.http.bodies import Limit
from shared.http.documentation import add_documentation
from shared.http.hosts import PROCESS_HEADER
from shared.settings.common import CommonSettings
from shared.telemetry import logs
from shared.telemetry.sdk_metrics import sdk_metrics

CODE = Gauge("genvideo_code", "1, with the digest of a package that runs", ["package", "digest"])
# Dependency -> why it isn't ready, or None if it is.
Readiness = Callable[[], Awaitable[Mapping[str, str | None]]]
Refresh = Callable[[], Awaitable[None]]
Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]

ROOT = Path(__file__).parents[2]
# No client has a reason to send large frames; the library's default is 16 MiB.
WEBSOCKET_BYTES = 64 * 1024
HEAD_BYTES = 64 * 1024
KEEP_ALIVE_SECONDS = 5
# Streams are asked to end at once; this limits those that don't listen.
SHUTDOWN_SECONDS = 3


def service_app(
    title: str,
    *,
    ready: Readiness,
    before_metrics: Refresh | None = None,
    lifespan: Lifespan | None = None,
    description: str = "",
    limit: Limit | None = None,
    hosts: Collection[str] = (),
    origins: Collection[str] = (),
) -> ServiceApp:
    """Return an app with `/healthz`, `/readyz`, `/metrics`, `/docs`; the caller adds routes.

    The app answers to loopback's names and `hosts`, and
    to pages of these and of `origins`. `before_metrics` updates what is only read on demand.
    `app.state.stopping` is set when the server is asked to stop, before it waits for open
    connections; streams wait for it.
    """
    app = ServiceApp(
        title=title,
        version="1",
        description=description,
        lifespan=lifespan,
        # The framework limits multipart bodies.
        max_body_size=None if limit is None else limit.size,
        docs_url=None,
        redoc_url=None,
    )
    app.limits = {} if limit is None else {"/": limit}
    app.hosts, app.origins = hosts, origins
    app.state.stopping = asyncio.Event()
    for package in _packages():
        CODE.labels(package, digest(ROOT, [package.replace(".", "/")])).set(1)
    problems.install(app)
    add_documentation(app)

    @app.head("/healthz", include_in_schema=False)
    @app.get("/healthz", tags=["service"], operation_id="healthz")
    async def healthz() -> dict[str, str]:
        """The process is alive."""
        return {"status": "ok"}

    @app.head("/readyz", include_in_schema=False)
    @app.get(
        "/readyz",
        tags=["service"],
        operation_id="readyz",
        responses=problems.documented(NotReady),
    )
    async def readyz() -> JSONResponse:
        """Every dependency answers; 503 with the reasons otherwise."""
        reasons, headers = await ready(), {PROCESS_HEADER: str(os.getpgrp())}
        if (error := not_ready(reasons)) is not None:
            return problems.from_error(error, headers)
        body = {"status": "ready", "checks": dict.fromkeys(reasons, "ok")}
        return JSONResponse(body, headers=headers)

    @app.get(
        "/metrics",
        tags=["service"],
        operation_id="metrics",
        response_class=Response,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    )
    async def metrics() -> Response:
        """Prometheus text format."""
        if before_metrics is not None:
            await before_metrics()
        body = generate_latest() + await asyncio.to_thread(sdk_metrics)
        return Response(body, media_type=CONTENT_TYPE_LATEST)

    return app


def _packages() -> tuple[str, ...]:
    spec = sys.modules["__main__"].__spec__
    running = ".".join((spec.name if spec else "").split(".")[:2])
    return ("shared", running) if running.startswith("services.") else ("shared",)


def not_ready(reasons: Mapping[str, str | None]) -> NotReady | None:
    """Return the error that names what is not ready, and why; None if everything is ready."""
    wrong = [f"{name}: {reason}" for name, reason in reasons.items() if reason is not None]
    return NotReady("; ".join(wrong)) if wrong else None


class Server(uvicorn.Server):
    """Tell the app's streams to end before the server waits for them."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        app = self.config.app
        if isinstance(app, ServiceApp):
            app.state.stopping.set()
        await super().shutdown(sockets)


def serve(
    name: str,
    create: Callable[[], FastAPI],
    settings: CommonSettings,
    *,
    port: int,
    connections: int | None = None,
) -> None:
    """Serve the app until SIGTERM or SIGINT; `name` is that of the service in logs."""
    logs.configure(service=name, level=settings.log_level, form=settings.log_format)
    # Each connection is an open file, of which a process may often have 1024 unless it asks.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    server(
        create(),
        settings.listen_host,
        port=port,
        shutdown_seconds=SHUTDOWN_SECONDS,
        connections=connections,
    ).run()


def server(
    app: ASGIApp,
    host: str,
    *,
    port: int,
    shutdown_seconds: int = 5,
    connections: int | None = None,
) -> uvicorn.Server:
    """Return a uvicorn server without an access log, because callback addresses carry tokens.

    With more connections than the limit, each further request gets 503.
    """
    return Server(
        uvicorn.Config(
            app,
            host=host,
            port=port,
            # This parser limits a request's head; the faster one does not.
            http="h11",
            h11_max_incomplete_event_size=HEAD_BYTES,
            ws=Sockets,
            limit_concurrency=connections,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            access_log=False,
            proxy_headers=False,
            log_config=None,
            server_header=False,
            timeout_graceful_shutdown=shutdown_seconds,
            ws_max_size=WEBSOCKET_BYTES,
            # Compressing for a thousand sockets costs more than it saves.
            ws_per_message_deflate=False,
        )
    )
