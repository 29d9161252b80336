"""Make HTTP clients; every call has a time limit, follows no redirect and sends no cookie."""

import ssl
from collections.abc import AsyncIterator
from functools import cache
from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx

CONNECT_SECONDS = 3.0
KEEPALIVE_SECONDS = 2.0
# Each piece of a body takes time, however small: so many may come, and one more for each so many
# bytes.
MOST_PIECES, LEAST_PIECE = 10_000, 1_000
# Statuses of a temporary refusal.
CLEARING_STATUSES = frozenset({408, 425, 429, 503})
# A proxy that refuses has opened no connection to the host; an invalid request is never sent.
NOT_SENT = (
    *(httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout),
    *(httpx.ProxyError, httpx.UnsupportedProtocol, httpx.LocalProtocolError),
)


def http_client(
    base_url: str = "",
    *,
    seconds: float = 10.0,
    transport: httpx.AsyncBaseTransport | None = None,
    proxy: str | None = None,
) -> httpx.AsyncClient:
    """Return a client that keeps connections; `seconds` limits each read and each write.

    A caller's own transport decides about connections and proxies.
    """
    return httpx.AsyncClient(
        base_url=base_url,
        # Refuse compression, because a few bytes can decompress to gigabytes.
        headers={"Accept-Encoding": "identity"},
        timeout=httpx.Timeout(seconds, connect=CONNECT_SECONDS),
        # Shorter than the server's own idle limit (uvicorn: 5 s), so that it does not close under a
        # request.
        limits=httpx.Limits(
            max_connections=100, max_keepalive_connections=20, keepalive_expiry=KEEPALIVE_SECONDS
        ),
        follow_redirects=False,
        # Takes none: a server could set so many that every later request is too large for it.
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        verify=_trusted(),
        trust_env=False,
        transport=transport,
        proxy=proxy,
    )


@cache
def _trusted() -> ssl.SSLContext:
    """Return the trusted certificates; read once, because that takes longer than most calls."""
    return httpx.create_ssl_context(trust_env=False)


def is_identity(response: httpx.Response) -> bool:
    """True if an answer is not compressed, as was requested."""
    return response.headers.get("content-encoding", "").strip().lower() in ("", "identity")


async def pieces(response: httpx.Response) -> AsyncIterator[bytes]:
    """Yield the body; raise RemoteProtocolError if it comes in very small pieces, each of which
    takes time."""
    count = size = 0
    async for piece in response.aiter_raw():
        count, size = count + 1, size + len(piece)
        if count > MOST_PIECES + size / LEAST_PIECE:
            raise httpx.RemoteProtocolError(f"it comes in pieces of {size / count:.0f} bytes")
        yield piece
