"""Make the mocks' HTTP clients, which follow no redirect, and check which hosts they may call."""

import ssl
from functools import cache

import httpx

# Limits each step. Real seconds, because others do not get faster with the vendor's clock.
SECONDS = 10.0
# Shorter than the server's own idle limit (uvicorn: 5 s), so that it does not close under a
# request.
_KEEPALIVE_SECONDS = 2.0
# On any port: a caller of the mock is on this machine, and could call these, too.
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_PORTS = {"http": 80, "https": 443}


@cache
def _trusted() -> ssl.SSLContext:
    """Read the certificates once, because that takes longer than most generations of a fast
    mock."""
    return httpx.create_ssl_context(trust_env=False)


def http_client() -> httpx.AsyncClient:
    return httpx.AsyncClient(
        timeout=httpx.Timeout(SECONDS, pool=None),
        limits=httpx.Limits(
            max_connections=50,
            max_keepalive_connections=10,
            keepalive_expiry=_KEEPALIVE_SECONDS,
        ),
        follow_redirects=False,
        verify=_trusted(),
        trust_env=False,
    )


def may_call(address: str, hosts: frozenset[str]) -> bool:
    """True if an address is this machine's or one of these hosts', as the client parses it."""
    try:
        url = httpx.URL(address)
    except (httpx.InvalidURL, ValueError):
        return False
    if url.scheme not in _PORTS:
        return False
    name = url.netloc.decode("ascii")
    names = {name} if url.port else {name, f"{name}:{_PORTS[url.scheme]}"}
    return url.host in _LOOPBACK or not names.isdisjoint(hosts)
