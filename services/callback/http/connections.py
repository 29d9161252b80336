"""Connections of the vendor's port: none that lies idle keeps another one out."""

import asyncio
import ipaddress
from operator import attrgetter

from shared.http.connections import GuardedConnection

# In all; each holds some memory. A vendor needs some tens.
CONNECTIONS = 1000
# Of one network: an IPv4 address, or the /64 that one IPv6 customer has.
PER_NETWORK = 250


class SharedConnection(GuardedConnection):
    """Where all places are taken, of one network or in all, the longest idle one makes room.

    Idle is one whose request has not come yet, or has been answered. Where none is, one more of
    the same network is cut off, and one more in all hears uvicorn's 503.
    """

    network = ""
    idle_since = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.network = network_of(self.client[0] if self.client else "")
        self.idle_since = self.loop.time()
        self._make_room()

    def on_response_complete(self) -> None:
        self.idle_since = self.loop.time()
        super().on_response_complete()

    @property
    def idle(self) -> bool:
        """Whether nobody waits for an answer on it."""
        return self.cycle is None or self.cycle.response_complete

    def _make_room(self) -> None:
        there = [
            each
            for each in self.connections
            if isinstance(each, SharedConnection) and not each.transport.is_closing()
        ]
        same = [each for each in there if each.network == self.network]
        if len(same) > PER_NETWORK:
            crowd, otherwise = same, [self]
        elif self.limit_concurrency and len(there) >= self.limit_concurrency:
            crowd, otherwise = there, []
        else:
            return
        idle = [each for each in crowd if each.idle and each is not self]
        for longest in sorted(idle, key=attrgetter("idle_since"))[:1] or otherwise:
            longest.transport.abort()


def network_of(address: str) -> str:
    """What shares its places: the address itself, or the /64 of an IPv6 one."""
    try:
        known = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(known, ipaddress.IPv6Address):
        if known.ipv4_mapped is None:
            return str(ipaddress.ip_network((known, 64), strict=False))
        known = known.ipv4_mapped
    return str(known)
