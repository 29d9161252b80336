"""Where results may come from; the address that was checked is the one that is connected to."""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable

import httpx

from services.worker.settings.result_hosts import is_below
from services.worker.settings.worker import WorkerSettings
from services.worker.vendors.vendor import Vendor
from shared.errors import ResultNotAllowed

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
# Every address of a host; OSError where the name leads nowhere.
Resolve = Callable[[str, int], Awaitable[list[Address]]]

_PORTS = {"http": 80, "https": 443}
# Carries an IPv4 address in its last 32 bits (RFC 6052).
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
# All that was ever given to anybody (RFC 4291); site-local and compatible ones are outside.
_UNICAST = ipaddress.ip_network("2000::/3")
# Global by the books, and yet no hosts of the internet: protocol assignments (Teredo among them),
# 6to4 and its relays, a test network of the past, and what Azure gives each machine as its host.
_NO_HOSTS = tuple(
    map(
        ipaddress.ip_network,
        (
            *("192.0.0.0/24", "192.88.99.0/24", "168.63.129.16/32"),
            *("2001::/23", "2002::/16", "3ffe::/16"),
        ),
    )
)


class CheckedTransport(httpx.AsyncBaseTransport):
    """Asks only hosts that are named, and these only at addresses that are public.

    `inside` are hosts that may lie anywhere, for they are called by their own address anyway;
    `outside` (with patterns of names) must lead to public addresses, unless they are written as an
    address themselves.
    A name is resolved once, and what it led to is connected to: a later answer changes nothing.
    """

    def __init__(
        self,
        transport: httpx.AsyncBaseTransport,
        *,
        inside: frozenset[str],
        outside: frozenset[str],
        resolve: Resolve | None = None,
    ) -> None:
        self._transport = transport
        self.inside = inside
        self.outside = outside
        self._resolve = resolve or resolved

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The answer; ResultNotAllowed, or ConnectError for no address."""
        error: httpx.ConnectError | None = None
        for address in await self._addresses(request.url):
            try:
                return await self._transport.handle_async_request(_sent_to(request, address))
            except httpx.ConnectError as failure:
                error = failure
        raise error or httpx.ConnectError(f"{request.url.host} leads to no address")

    async def aclose(self) -> None:
        """Close the connections."""
        await self._transport.aclose()

    async def _addresses(self, url: httpx.URL) -> list[Address]:
        names = _names(url)
        named = not names.isdisjoint(self.inside | self.outside)
        if not named and not any(is_below(name, self.outside) for name in names):
            raise ResultNotAllowed(f"The result's address at {url.host!r} is not an allowed one.")
        try:
            found = await self._resolve(url.host, _port(url))
        except OSError as error:
            raise httpx.ConnectError(f"{url.host}: {error.strerror or error}") from None
        anywhere = not names.isdisjoint(self.inside) or _is_address(url.host)
        if not anywhere and (refused := [each for each in found if not is_public(each)]):
            raise ResultNotAllowed(
                f"The result's host {url.host!r} leads to {refused[0]}, which is not public."
            )
        return found


def result_transport(settings: WorkerSettings, *vendors: Vendor) -> CheckedTransport:
    """The way to results of these vendors under the worker's settings; a connection serves one."""
    plain = httpx.AsyncHTTPTransport(
        trust_env=False, limits=httpx.Limits(max_keepalive_connections=0)
    )
    hosts = [host for vendor in vendors for host in vendor.traits.result_hosts]
    return CheckedTransport(
        plain, inside=settings.inside_hosts(), outside=settings.outside_hosts(*hosts)
    )


def _names(url: httpx.URL) -> set[str]:
    """How a setting may call the host: with its port, and without where that is the scheme's."""
    if url.scheme not in _PORTS or url.userinfo:
        return set()
    name = url.netloc.decode("ascii")
    return {name} if url.port else {name, f"{name}:{_port(url)}"}


def _port(url: httpx.URL) -> int:
    return url.port or _PORTS[url.scheme]


async def resolved(host: str, port: int) -> list[Address]:
    """What the system's resolver says, in its order."""
    loop = asyncio.get_running_loop()
    rows = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    found = [ipaddress.ip_address(str(row[4][0]).partition("%")[0]) for row in rows]
    return list(dict.fromkeys(found))


def is_public(address: Address) -> bool:
    """Whether an address is one of the internet at large, also where it stands for another one."""
    if isinstance(address, ipaddress.IPv6Address):
        if (inner := _wrapped(address)) is not None:
            return is_public(inner)
        if address not in _UNICAST:
            return False
    if any(address in network for network in _NO_HOSTS):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def _wrapped(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that an IPv6 one is written for, by a resolver or by a translator."""
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _sent_to(request: httpx.Request, address: Address) -> httpx.Request:
    """The same request to one address; its Host and the name in TLS stay those of the host."""
    return httpx.Request(
        request.method,
        request.url.copy_with(host=str(address)),
        headers=request.headers,
        stream=request.stream,
        extensions={**request.extensions, "sni_hostname": request.url.host},
    )
