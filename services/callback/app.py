"""The receiver as an app; it starts while Temporal is away, and answers 503 then."""

import asyncio
import hmac
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Scope
from temporalio.client import Client

from services.callback import kling, routes
from services.callback.receiver import Receiver
from services.callback.settings import CallbackSettings
from shared.errors import GenvideoError
from shared.files import folder_reason
from shared.health import lazy_client, reasons_of, temporal_reason
from shared.http.app import ServiceApp
from shared.http.guard import Gate
from shared.http.web import service_app
from shared.jobs.tokens import operator_key
from shared.store.chosen import chosen_store, store_reason

# For vendors, whose token is in the address, and for health checks.
FOR_EVERYBODY = frozenset({"/callback/kling", "/healthz", "/readyz"})
DESCRIPTION = "Takes the video vendor's callbacks. Errors are `application/problem+json`."


def create_app(settings: CallbackSettings, client: Client | None = None) -> FastAPI:
    """Create the app; without a client it makes one by the SDK's standard settings."""
    clients: list[Client] = []
    store, secret = chosen_store(settings), settings.callback_secret.get_secret_value()
    folder = settings.data_dir / "callbacks"

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        clients.append(client or await lazy_client(settings.payload_keys))
        app.state.receiver = Receiver(store, clients[0], secret, settings.known.values())
        yield

    async def ready() -> Mapping[str, str | None]:
        if settings.elsewhere:
            kept = store_reason(store)
        else:
            kept = asyncio.to_thread(folder_reason, folder)
        return await reasons_of({"temporal": temporal_reason(clients[0]), "store": kept})

    app: ServiceApp = service_app(
        "genvideo callback receiver",
        ready=ready,
        lifespan=lifespan,
        description=DESCRIPTION,
        hosts=settings.hosts,
    )
    app.schemas = routes.SCHEMAS
    readers = {"kling": kling.read}
    for pipeline in settings.known.values():
        readers |= pipeline.readers
    app.state.readers = readers
    if settings.callback_guarded:
        app.add_middleware(OperatorsOnly, secret=secret, forms=readers)
    app.include_router(routes.router)
    return app


class NotAuthorized(GenvideoError, status=401, title="Not authorized"):
    """The operator's key is missing or wrong."""


class OperatorsOnly(Gate):
    """Require the operator's key, derived from CALLBACK_SECRET, before any other route of a guarded
    receiver."""

    def __init__(self, app: ASGIApp, secret: str, forms: Iterable[str]) -> None:
        super().__init__(app)
        self._open = FOR_EVERYBODY.union(f"/callback/{form}" for form in forms)
        self._expected = f"Bearer {operator_key(secret)}".encode()

    def check(self, scope: Scope) -> None:
        given = Headers(scope=scope).get("authorization", "").encode("utf-8", "replace")
        if scope["path"] not in self._open and not hmac.compare_digest(self._expected, given):
            raise NotAuthorized("Send Authorization: Bearer and the operator's key.")
