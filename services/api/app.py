"""The API as an app; it starts while Temporal is away, and `/readyz` says so."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from fastapi import FastAPI
from temporalio.client import Client

from services.api.http import console, files, live, page, routes
from services.api.http.access import CODEC, READABLE, AccessControl, Cors
from services.api.http.codec import UI_HEADERS, codec, origin_of_ui
from services.api.service import Service, make_service
from services.api.settings import ApiSettings
from services.api.slots import refresh_metrics
from shared.files import no_room
from shared.health import lazy_client
from shared.http.app import ServiceApp
from shared.http.bodies import Limit
from shared.http.web import service_app

MAX_BODY = 1024 * 1024
DESCRIPTION = """Submits jobs, shows them live. Errors are `application/problem+json`.

Live: `WS /ws/jobs` sends every job at once, then each change of any; `WS /ws/jobs/{job_id}` one
job until its end (close code 1000; 4404 for an unknown job, 1013 without Temporal or the store).
`queue_position` is filled in by `GET` and in a socket's first frames; it is null in later ones."""


def create_app(settings: ApiSettings, client: Client | None = None) -> FastAPI:
    """Create the app; without a client it makes one by the SDK's standard settings."""
    encrypts = settings.payload_keys.encrypts

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        service = make_service(settings, client or await lazy_client(settings.payload_keys))
        app.state.service = service
        ending = asyncio.create_task(_close_streams(app, service))
        async with service.running():
            yield
        ending.cancel()

    async def ready() -> Mapping[str, str | None]:
        service: Service = app.state.service
        reasons = await service.dependencies.reasons()
        if settings.elsewhere:
            return reasons
        # Deletes, and questions to Temporal, need no space on the disk. In a container the data
        # folder itself is the image's.
        state = settings.data_dir / "state"
        full = None if reasons["state"] else await asyncio.to_thread(no_room, state)
        return {**reasons, "disk": full}

    async def before_metrics() -> None:
        await refresh_metrics(app.state.service.slots)

    app: ServiceApp = service_app(
        "genvideo api",
        ready=ready,
        before_metrics=before_metrics,
        lifespan=lifespan,
        description=DESCRIPTION,
        limit=Limit(MAX_BODY),
        hosts=settings.hosts,
        # With a key the Temporal UI's page may call the codec, and nothing else.
        origins=settings.origins | ({origin_of_ui(settings)} if encrypts else set()),
    )
    # First those of jobs, as the documentation lists them.
    app.include_router(routes.submitting(settings.known))
    for router in (
        routes.of_jobs,
        routes.of_slots,
        files.results(settings.known.values()),
        *(module.router for module in (live, page, console)),
    ):
        app.include_router(router)
    if encrypts:
        app.include_router(codec(settings))
        # If a token is set, the UI's page sends the cookie of a session.
        app.add_middleware(
            Cors,
            path=CODEC,
            allow_origins=[origin_of_ui(settings)],
            allow_methods=["POST"],
            allow_headers=UI_HEADERS,
            allow_credentials=True,
        )
    app.add_middleware(AccessControl, settings=settings)
    if settings.origins:
        app.add_middleware(
            Cors,
            allow_origins=sorted(settings.origins),
            allow_methods=["*"],
            allow_headers=["*"],
            expose_headers=READABLE,
        )
    return app


async def _close_streams(app: FastAPI, service: Service) -> None:
    await app.state.stopping.wait()
    service.feed.listeners.close()
