"""The one place that makes HTTP clients; every call has a time limit and follows no redirect."""

import ssl
from functools import cache
from typing import Any

import httpx

from shared.telemetry import tracing

CONNECT_SECONDS = 3.0
KEEPALIVE_SECONDS = 2.0


class TracedClient(httpx.AsyncClient):
    """Each call is a span of the trace in which it is made; nothing is sent along."""

    async def send(self, request: httpx.Request, **how: Any) -> httpx.Response:
        with tracing.call(request.method, request.url.host):
            response = await super().send(request, **how)
            tracing.note(status=response.status_code)
            return response


def http_client(
    base_url: str = "",
    *,
    seconds: float = 10.0,
    transport: httpx.AsyncBaseTransport | None = None,
    proxy: str | None = None,
) -> httpx.AsyncClient:
    """A client that keeps connections; `seconds` bounds each read and each write.

    A transport of the caller's own decides about its connections, and any proxy, itself.
    """
    return TracedClient(
        base_url=base_url,
        # What is sent is what is read: a few bytes can stand for gigabytes.
        headers={"Accept-Encoding": "identity"},
        timeout=httpx.Timeout(seconds, connect=CONNECT_SECONDS),
        # A server that drops an idle connection (uvicorn does after 5 s) must not do so under us.
        limits=httpx.Limits(
            max_connections=100, max_keepalive_connections=20, keepalive_expiry=KEEPALIVE_SECONDS
        ),
        follow_redirects=False,
        verify=_trusted(),
        trust_env=False,
        transport=transport,
        proxy=proxy,
    )


@cache
def _trusted() -> ssl.SSLContext:
    """Whose certificates are believed: read once, for that takes longer than most calls."""
    return httpx.create_ssl_context(trust_env=False)


def is_identity(response: httpx.Response) -> bool:
    """Whether the bytes of an answer are what they stand for, as was asked for."""
    return response.headers.get("content-encoding", "").strip().lower() in ("", "identity")
