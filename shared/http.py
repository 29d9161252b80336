"""The one place that makes HTTP clients; every call has a time limit and follows no redirect."""

import httpx

CONNECT_SECONDS = 3.0
KEEPALIVE_SECONDS = 2.0


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
    return httpx.AsyncClient(
        base_url=base_url,
        # What is sent is what is read: a few bytes can stand for gigabytes.
        headers={"Accept-Encoding": "identity"},
        timeout=httpx.Timeout(seconds, connect=CONNECT_SECONDS),
        # A server that drops an idle connection (uvicorn does after 5 s) must not do so under us.
        limits=httpx.Limits(
            max_connections=100, max_keepalive_connections=20, keepalive_expiry=KEEPALIVE_SECONDS
        ),
        follow_redirects=False,
        trust_env=False,
        transport=transport,
        proxy=proxy,
    )


def is_identity(response: httpx.Response) -> bool:
    """Whether the bytes of an answer are what they stand for, as was asked for."""
    return response.headers.get("content-encoding", "").strip().lower() in ("", "identity")
