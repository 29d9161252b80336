"""Fetches the picture that a video is to be made from; no redirects, bounded in time and size."""

from collections.abc import Callable

import httpx

from services.mock_core.lib.client import http_client
from services.mock_core.runner.runner import GenerationError

MAX_BYTES = 10_000_000
_USER_AGENT = "mock-kling"
# Real seconds: whoever serves the picture does not run on the vendor's clock.
_SECONDS = 10.0


class Fetcher:
    """One client for all downloads, open from start to stop."""

    def __init__(self, check: Callable[[str], None]) -> None:
        self._check = check
        self._client: httpx.AsyncClient | None = None

    async def open(self) -> None:
        self._client = http_client(seconds=_SECONDS, connections=20, kept=5)
        self._client.headers["User-Agent"] = _USER_AGENT

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()

    async def fetch(self, url: str) -> bytes:
        """The bytes at this address; GenerationError with the reason otherwise."""
        if self._client is None:
            raise RuntimeError("the fetcher is not open")
        self._check(url)
        try:
            async with self._client.stream("GET", url) as reply:
                if reply.status_code != httpx.codes.OK:
                    raise GenerationError(f"image download failed: HTTP {reply.status_code}")
                return await _bounded(reply)
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise GenerationError(f"image download failed: {type(error).__name__}") from error


async def _bounded(reply: httpx.Response) -> bytes:
    body = bytearray()
    async for chunk in reply.aiter_bytes():
        body += chunk
        if len(body) > MAX_BYTES:
            raise GenerationError(f"image download failed: larger than {MAX_BYTES} bytes")
    return bytes(body)
