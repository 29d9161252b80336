"""Which addresses are those of the internet at large, and which hosts are near."""

import ipaddress

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

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
# What containers call the machine that they run on.
_GATEWAY = "host.docker.internal"


def is_near(host: str) -> bool:
    """Whether a host is of this machine or of a network of its own, by the looks of its name.

    A name without a dot is one of containers, or of a network's own resolver.
    """
    address = written(host)
    return host == _GATEWAY or "." not in host if address is None else not is_public(address)


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


def written(host: str) -> Address | None:
    """The address that a host is written as; None for a name."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
