"""The one place where the mocks make HTTP clients; no redirect is followed."""

import ssl
from functools import cache

import httpx


@cache
def trusted() -> ssl.SSLContext:
    """Read once for all clients: it takes longer than most generations of a fast mock."""
    return httpx.create_ssl_context(trust_env=False)


# A server that drops an idle connection (uvicorn does after 5 s) must not do so under us.
KEEPALIVE_SECONDS = 2.0


def http_client(*, seconds: float, connections: int, kept: int) -> httpx.AsyncClient:
    """At most so many connections, of which some are kept; `seconds` bounds each step."""
    return httpx.AsyncClient(
        timeout=httpx.Timeout(seconds, pool=None),
        limits=httpx.Limits(
            max_connections=connections,
            max_keepalive_connections=kept,
            keepalive_expiry=KEEPALIVE_SECONDS,
        ),
        follow_redirects=False,
        verify=trusted(),
        trust_env=False,
    )
