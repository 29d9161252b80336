"""`HEAD` is answered as `GET` is, without the body; a route that has its own answer keeps that."""

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from starlette.types import ASGIApp, Message, Receive, Scope, Send


def methods_at(app: FastAPI, path: str) -> set[str]:
    """Every method of a path: the framework knows those of the first route alone."""
    methods = set[str]()
    for route in iter_route_contexts(app.routes):
        if route.methods and route.path_regex.match(path):
            methods |= route.methods
    return methods


class AnswersHead:
    """Has an app take `HEAD` for `GET`, and lets nothing but the head of its answer through.

    The answer ends there, so that whoever streams hears that nobody listens any more.
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
