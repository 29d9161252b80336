"""Fetch results from allowed hosts, with a vendor's credentials if it needs them.

The checked address is the one that is connected to. Credentials go only to their vendor's address,
and only an answer to them may redirect.
"""

import asyncio
import ipaddress
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx

from shared.errors import BadResult, ResultNotAllowed
from shared.pipeline.hosts import Address, is_below, is_near, is_public, written
from shared.pipeline.settings import PipelineWorkerSettings
from shared.pipeline.vendor import Vendor

# Returns every address of a host; raises OSError if the name does not resolve.
Resolve = Callable[[str, int], Awaitable[list[Address]]]

# A signed address, and one or two redirects to it.
MAX_REDIRECTS = 3
REFUSALS = (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN)
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Credentials:
    """Headers for the scheme, host and port of one address only; never printed."""

    address: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    def of(self, url: httpx.URL) -> Mapping[str, str]:
        return self.headers if _origin(url) == _origin(httpx.URL(self.address)) else {}


@asynccontextmanager
async def asked(
    http: httpx.AsyncClient, url: str, credentials: Credentials
) -> AsyncIterator[httpx.Response]:
    """Return the answer at an address, after redirects of an answer to our credentials.

    `http` decides which hosts are allowed. Raises ResultNotAllowed if the credentials are refused,
    because each attempt would be refused, and BadResult after too many redirects.
    """
    at = httpx.URL(url)
    for _ in range(MAX_REDIRECTS + 1):
        headers = credentials.of(at)
        async with http.stream("GET", at, headers=dict(headers)) as response:
            if headers and response.status_code in REFUSALS:
                raise ResultNotAllowed(
                    f"The vendor refuses its result to our credentials: {response.status_code}."
                )
            if not (headers and response.has_redirect_location):
                yield response
                return
            at = at.join(response.headers["location"])
    raise BadResult(f"The result's address redirects more than {MAX_REDIRECTS} times.")


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port or _PORTS.get(url.scheme)


class CheckedTransport(httpx.AsyncBaseTransport):
    """Sends requests only to allowed hosts, and to these only at public addresses.

    `inside` are hosts that may have any address, because we call them anyway. `outside` (with
    patterns of names) must resolve to public addresses, unless they are written as an address. A
    name is resolved once, and the connection uses the result. `proxied` is the transport by a
    proxy, for everything that is not near. The proxy resolves names and must check the addresses;
    we still check the names.
    """

    def __init__(
        self,
        transport: httpx.AsyncBaseTransport,
        *,
        inside: frozenset[str],
        outside: frozenset[str],
        resolve: Resolve | None = None,
        proxied: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._transport = transport
        self._proxied = proxied
        self.inside = inside
        self.outside = outside
        self._resolve = resolve or resolved

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Return the answer; raise ResultNotAllowed, or ConnectError for an unresolved name."""
        names = _names(request.url)
        named = not names.isdisjoint(self.inside | self.outside)
        if not named and not any(is_below(name, self.outside) for name in names):
            url = request.url
            if not names:
                raise ResultNotAllowed(
                    "The result's address is no http or https address, or has a user or password."
                )
            # As RESULT_HOSTS would name it.
            host = f"{url.host}:{url.port}" if url.port else url.host
            raise ResultNotAllowed(
                f"The result's host {host!r} is not allowed: it is not its vendor's own, and"
                " RESULT_HOSTS does not name it."
            )
        if self._proxied is not None and not is_near(request.url.host):
            return await self._proxied.handle_async_request(request)
        error: httpx.ConnectError | None = None
        for address in await self._addresses(request.url, names):
            try:
                return await self._transport.handle_async_request(_sent_to(request, address))
            except httpx.ConnectError as failure:
                error = failure
        raise error or httpx.ConnectError(f"{request.url.host} does not resolve")

    async def aclose(self) -> None:
        await self._transport.aclose()
        if self._proxied is not None:
            await self._proxied.aclose()

    async def _addresses(self, url: httpx.URL, names: set[str]) -> list[Address]:
        try:
            found = await self._resolve(url.host, _port(url))
        except OSError as error:
            raise httpx.ConnectError(f"{url.host}: {error.strerror or error}") from None
        anywhere = not names.isdisjoint(self.inside) or written(url.host) is not None
        if not anywhere and (refused := [each for each in found if not is_public(each)]):
            raise ResultNotAllowed(
                f"The result's host {url.host!r} resolves to {refused[0]}, which is not public."
            )
        return found


def result_transport(settings: PipelineWorkerSettings, *vendors: Vendor) -> CheckedTransport:
    """Return the transport to these vendors' results, under the worker's settings; it keeps one
    connection each."""
    hosts = [host for vendor in vendors for host in vendor.traits.result_hosts]
    proxy = settings.proxy()
    return CheckedTransport(
        _way(),
        inside=settings.inside_hosts(),
        outside=settings.outside_hosts(*hosts),
        proxied=_way(proxy) if proxy else None,
    )


def _way(proxy: str | None = None) -> httpx.AsyncHTTPTransport:
    limits = httpx.Limits(max_keepalive_connections=0)
    return httpx.AsyncHTTPTransport(trust_env=False, limits=limits, proxy=proxy)


def _names(url: httpx.URL) -> set[str]:
    if url.scheme not in _PORTS or url.userinfo:
        return set()
    name = url.netloc.decode("ascii")
    return {name} if url.port else {name, f"{name}:{_port(url)}"}


def _port(url: httpx.URL) -> int:
    return url.port or _PORTS[url.scheme]


async def resolved(host: str, port: int) -> list[Address]:
    loop = asyncio.get_running_loop()
    try:
        rows = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError:
        raise OSError("it is not a host name") from None
    found = [ipaddress.ip_address(str(row[4][0]).partition("%")[0]) for row in rows]
    return list(dict.fromkeys(found))


def _sent_to(request: httpx.Request, address: Address) -> httpx.Request:
    """Return the same request to one address; Host and the name in TLS stay those of the host."""
    return httpx.Request(
        request.method,
        request.url.copy_with(host=str(address)),
        headers=request.headers,
        stream=request.stream,
        extensions={**request.extensions, "sni_hostname": request.url.host},
    )
