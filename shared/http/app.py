"""The app of every HTTP service: guard, body limits, and its OpenAPI document."""

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any

from fastapi import Depends, FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from shared.http import problems
from shared.http.bodies import BoundedBody, Limit
from shared.http.guard import Guard, document_refusals


class ServiceApp(FastAPI):
    """An app that documents our errors, and tells its streams when to end."""

    # Limits by path prefix.
    limits: Mapping[str, Limit] = MappingProxyType({})
    # Names that it answers to, beyond loopback's, and origins whose pages may change something.
    hosts: Collection[str] = ()
    origins: Collection[str] = ()
    # Schemas that the documentation of a route refers to by hand.
    schemas: Mapping[str, Any] = MappingProxyType({})

    def build_middleware_stack(self) -> ASGIApp:
        """Put guard and body limits before any middleware that is added to the app."""
        inner = BoundedBody(super().build_middleware_stack(), self.limits)
        return Guard(inner, hosts=self.hosts, origins=self.origins)

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document, with the Problem that every error carries."""
        if self.openapi_schema is None:
            document = get_openapi(
                title=self.title,
                version=self.version,
                description=self.description or None,
                routes=self.routes,
                tags=self.openapi_tags,
            )
            schemas = document.setdefault("components", {}).setdefault("schemas", {})
            schemas.update({**problems.schemas(), **self.schemas})
            document_refusals(document["paths"])
            self.openapi_schema = document
        return self.openapi_schema


def of_state(name: str, kind: type) -> Any:
    """Return a dependency: what the app's state has under a name, set before any request."""

    # Async, because a plain function would run in a thread for each request.
    async def found(connection: HTTPConnection) -> object:
        part = getattr(connection.app.state, name)
        assert isinstance(part, kind)  # noqa: S101
        return part

    return Depends(found)


class Sockets(WebSocketsSansIOProtocol):
    """Sockets that may be refused during their handshake, which uvicorn 0.54 logs as an error."""

    async def send(self, message: Any) -> None:
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and not message.get("more_body"):
            self.handshake_complete = True
