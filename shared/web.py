"""What every HTTP service of ours has: liveness, readiness with the reason, metrics, problems."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager

import uvicorn
from fastapi import FastAPI, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from shared import problems
from shared.problems import Problem

# The name of a dependency -> why it isn't ready, or None where it is.
Readiness = Callable[[], Awaitable[Mapping[str, str | None]]]
Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]

PROBLEMS = {"default": {"model": Problem, "description": "An error, as application/problem+json"}}


def service_app(title: str, *, ready: Readiness, lifespan: Lifespan | None = None) -> FastAPI:
    """An app with `/healthz`, `/readyz`, `/metrics`, `/docs`; routes are added by the caller."""
    app = FastAPI(title=title, version="1", lifespan=lifespan)
    problems.install(app)

    @app.get("/healthz", tags=["service"], operation_id="healthz")
    async def healthz() -> dict[str, str]:
        """The process is alive."""
        return {"status": "ok"}

    @app.get("/readyz", tags=["service"], operation_id="readyz", responses={503: {}})
    async def readyz() -> JSONResponse:
        """All that the service depends on answers; 503 with the reasons otherwise."""
        return _readiness(await ready())

    @app.get("/metrics", tags=["service"], operation_id="metrics", response_class=Response)
    async def metrics() -> Response:
        """Prometheus text format."""
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return app


def _readiness(reasons: Mapping[str, str | None]) -> JSONResponse:
    wrong = {name: reason for name, reason in reasons.items() if reason is not None}
    if not wrong:
        return JSONResponse({"status": "ready", "checks": dict.fromkeys(reasons, "ok")})
    return problems.problem_response(
        Problem(
            type="urn:genvideo:not_ready",
            title="Not ready",
            status=503,
            detail="; ".join(f"{name}: {reason}" for name, reason in wrong.items()),
            code="not_ready",
        ),
        {"Retry-After": "1"},
    )


def server(app: FastAPI, host: str, *, port: int, shutdown_seconds: int = 5) -> uvicorn.Server:
    """A uvicorn server without an access log (callback addresses carry tokens)."""
    return uvicorn.Server(
        uvicorn.Config(
            app,
            host=host,
            port=port,
            access_log=False,
            log_config=None,
            server_header=False,
            timeout_graceful_shutdown=shutdown_seconds,
        )
    )
