"""From a result's address to its bytes: a vendor's credentials go to its own address alone, and
only an answer to them may send us on."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx

from shared.errors import BadResult, ResultNotAllowed

# A signed address, and one or two that lead to it.
MAX_REDIRECTS = 3
REFUSALS = (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN)
PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Credentials:
    """Headers for the scheme, host and port of one address, and for no other; never shown."""

    address: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    def of(self, url: httpx.URL) -> Mapping[str, str]:
        """Those that a request takes along."""
        return self.headers if _origin(url) == _origin(httpx.URL(self.address)) else {}


@asynccontextmanager
async def asked(
    http: httpx.AsyncClient, url: str, credentials: Credentials
) -> AsyncIterator[httpx.Response]:
    """The answer at an address, or at the one that an answer to our credentials leads to.

    `http` decides which hosts may be asked at all. ResultNotAllowed where the credentials are
    refused: they will be for each attempt. BadResult after too many redirects.
    """
    at = httpx.URL(url)
    for _ in range(MAX_REDIRECTS + 1):
        headers = credentials.of(at)
        async with http.stream("GET", at, headers=dict(headers)) as response:
            if headers and response.status_code in REFUSALS:
                raise ResultNotAllowed(
                    f"The vendor gives its result not to our credentials: {response.status_code}."
                )
            if not (headers and response.has_redirect_location):
                yield response
                return
            at = at.join(response.headers["location"])
    raise BadResult(f"The result's address leads on more than {MAX_REDIRECTS} times.")


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port or PORTS.get(url.scheme)
