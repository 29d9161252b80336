"""The app of every HTTP service: guard, body limits, `HEAD`, and its OpenAPI document."""

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from shared.http import problems
from shared.http.bodies import BoundedBody, Limit
from shared.http.guard import Guard, document_refusals
from shared.http.problems import methods_at


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
        inner = BoundedBody(AnswersHead(super().build_middleware_stack(), self), self.limits)
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


class Sockets(WebSocketsSansIOProtocol):
    """Sockets that may be refused during their handshake, which uvicorn 0.54 logs as an error."""

    async def send(self, message: Any) -> None:
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and not message.get("more_body"):
            self.handshake_complete = True


class AnswersHead:
    """Answer `HEAD` as `GET` without the body, unless the route handles `HEAD` itself.

    A stream stops at once, because the answer ends with its head.
    """

    def __init__(self, inner: ASGIApp, app: FastAPI) -> None:
        self._inner = inner
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD" or not self._lacks(scope["path"]):
            await self._inner(scope, receive, send)
            return

        async def send_head(message: Message) -> None:
            if message["type"] == "http.response.start":
                await send(message)
                await send({"type": "http.response.body", "body": b""})

        await self._inner({**scope, "method": "GET"}, receive, send_head)

    def _lacks(self, path: str) -> bool:
        methods = methods_at(self._app, path)
        return "GET" in methods and "HEAD" not in methods
