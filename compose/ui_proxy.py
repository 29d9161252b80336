"""A proxy before the Temporal UI, which checks no `Host`: only known names pass.

`python -m compose.ui_proxy LISTEN_HOST PORT UI_HOST UI_PORT SERVER_PID METRICS_PORT`, as long as
that process lives. `/metrics` serves the server's metrics, which the UI does not have.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Collection, Iterable
from urllib.parse import urlsplit

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from shared.errors import ForeignOrigin, GenvideoError
from shared.http.client import http_client
from shared.http.guard import SAFE_METHODS, Guard
from shared.http.hosts import PROCESS_HEADER, host_of_url, listed
from shared.http.problems import from_error
from shared.http.web import server

METRICS, HEALTH = "/metrics", "/healthz"
METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")
MOST_CONNECTIONS = 512
# The UI's own longest wait for news is far shorter.
SILENT_SECONDS = 180.0
WATCH_SECONDS = 0.5
# Headers of the browser's connection, which is not the one to the UI.
_OF_THE_CONNECTION = frozenset(
    {
        *(b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"upgrade"),
        b"transfer-encoding",
    }
)


class UiUnavailable(GenvideoError, status=502, title="The Temporal UI does not answer"):
    """The UI, or the server's metrics, can't be reached."""


def ui_app(
    client: httpx.AsyncClient,
    ui: str,
    metrics: str,
    *,
    public_url: str,
    further: Collection[str] = (),
) -> ASGIApp:
    """Return the proxy of the UI and the metrics, which the client calls.

    `public_url` is the address for browsers, `further` are more names.
    """
    url = urlsplit(public_url.lower())
    public = f"{url.scheme}://{url.netloc}"

    async def passed_on(request: Request) -> Response:
        _check_origin(request, public)
        return await _passed_on(request, client, metrics if request.url.path == METRICS else ui)

    app = Starlette(
        routes=[Route("/{path:path}", passed_on, methods=METHODS)],
        exception_handlers={GenvideoError: lambda _, error: from_error(error)},
    )
    return Guard(app, hosts={host_of_url(public_url), *further}, origins={public})


def _check_origin(request: Request, public: str) -> None:
    """Refuse pages of other ports of this machine, too, unlike our services."""
    host, given = request.headers["host"].lower(), request.headers.get("origin", "").lower()
    if request.method in SAFE_METHODS or "origin" not in request.headers:
        return
    if given not in (f"http://{host}", f"https://{host}", public):
        raise ForeignOrigin(f"Origin {given[:100]!r} is foreign to the Temporal UI.")


async def _passed_on(request: Request, client: httpx.AsyncClient, base: str) -> Response:
    query = f"?{request.url.query}" if request.url.query else ""
    has_body = {"content-length", "transfer-encoding"} & set(request.headers)
    onward = client.build_request(
        request.method,
        f"{base}{request.scope['raw_path'].decode('latin-1')}{query}",
        headers=_onward(request.headers.raw),
        content=request.stream() if has_body else None,
    )
    try:
        answer = await client.send(onward, stream=True)
    except httpx.HTTPError as error:
        raise UiUnavailable("The Temporal UI does not answer.") from error
    response = StreamingResponse(_bytes_of(answer), answer.status_code)
    response.raw_headers = _onward(answer.headers.raw)
    if request.url.path == HEALTH:
        response.headers[PROCESS_HEADER] = str(os.getpgrp())
    return response


def _onward(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    return [
        (name.lower(), value) for name, value in headers if name.lower() not in _OF_THE_CONNECTION
    ]


async def _bytes_of(answer: httpx.Response) -> AsyncIterator[bytes]:
    try:
        async for chunk in answer.aiter_raw():
            yield chunk
    finally:
        await answer.aclose()


async def main(arguments: list[str]) -> None:
    host, port, ui_host, ui_port, server_pid, metrics_port = arguments
    async with http_client(seconds=SILENT_SECONDS) as client:
        app = ui_app(
            client,
            f"http://{ui_host}:{ui_port}",
            f"http://127.0.0.1:{metrics_port}",
            public_url=os.environ.get("TEMPORAL_UI_URL") or f"http://127.0.0.1:{port}",
            further=listed(os.environ.get("ALLOWED_HOSTS", "")),
        )
        serving = server(app, host, port=int(port), connections=MOST_CONNECTIONS)
        watching = asyncio.create_task(_end_with(int(server_pid), serving))
        await serving.serve()
        watching.cancel()


async def _end_with(pid: int, serving: uvicorn.Server) -> None:
    while True:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            serving.should_exit = True
            return
        await asyncio.sleep(WATCH_SECONDS)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
