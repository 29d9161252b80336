"""The receiver as an app; it starts, and takes callbacks in, while Temporal is away."""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from fastapi import FastAPI
from temporalio.client import Client

from services.callback.http import routes
from services.callback.http.body import MAX_BODY, Reader
from services.callback.http.guard import Guard, Operator
from services.callback.receiver import Receiver
from services.callback.settings import CallbackSettings
from services.callback.signature import Signatures
from shared.health import lazy_client, reasons_of, temporal_reason
from shared.http.app import ServiceApp
from shared.http.bodies import Limit
from shared.http.web import service_app
from shared.store.chosen import chosen_store
from shared.store.probe import store_reason

DESCRIPTION = "Takes the video vendor's callbacks. Errors are `application/problem+json`."


def create_app(settings: CallbackSettings, client: Client | None = None) -> FastAPI:
    """The app; without a client it makes one of its own, by the SDK's standard settings."""
    clients: list[Client] = []
    store = chosen_store(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        clients.append(client or await lazy_client(settings.payload_keys))
        app.state.receiver = await asyncio.to_thread(Receiver, settings, clients[0])
        async with app.state.receiver.running():
            yield

    async def ready() -> Mapping[str, str | None]:
        book = {"store": store_reason(store)} if settings.elsewhere else {"book": _book(settings)}
        return await reasons_of({"temporal": temporal_reason(clients[0]), **book})

    app: ServiceApp = service_app(
        "genvideo callback receiver",
        ready=ready,
        lifespan=lifespan,
        description=DESCRIPTION,
        limit=Limit(MAX_BODY, values=None),
        hosts=settings.hosts,
    )
    app.examples = routes.EXAMPLES
    app.state.reader = Reader()
    app.state.operator = Operator(settings)
    app.state.signatures = Signatures(settings.kling_webhook_secret)
    if settings.callback_guarded:
        app.add_middleware(Guard, operator=app.state.operator)
    app.include_router(routes.router)
    return app


async def _book(settings: CallbackSettings) -> str | None:
    folder = settings.data_dir / "callbacks"
    writable = await asyncio.to_thread(os.access, folder, os.W_OK | os.X_OK)
    return None if writable else f"{folder} can't be written"
