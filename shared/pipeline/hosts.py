"""Which addresses are public, which hosts are near, and which ones may deliver results."""

import ipaddress
import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from shared.http.hosts import is_loopback

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# Has an IPv4 address in its last 32 bits (RFC 6052).
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
# All assigned addresses (RFC 4291); site-local and compatible ones are outside.
_UNICAST = ipaddress.ip_network("2000::/3")
# Global by the registries, but no hosts of the internet: protocol assignments (Teredo among them),
# 6to4 and its relays, an old test network, and Azure's address of the host.
_NO_HOSTS = tuple(
    map(
        ipaddress.ip_network,
        (
            *("192.0.0.0/24", "192.88.99.0/24", "168.63.129.16/32"),
            *("2001::/23", "2002::/16", "3ffe::/16"),
        ),
    )
)
# The names of the host machine in containers.
_GATEWAY = "host.docker.internal"


def is_near(host: str) -> bool:
    """True if a host is this machine or in its own network, by the form of its name.

    A name without a dot belongs to a container, or to the network's own resolver.
    """
    address = written(host)
    return host == _GATEWAY or "." not in host if address is None else not is_public(address)


def is_public(address: Address) -> bool:
    """True if an address is on the public internet, also if it maps to another one."""
    if isinstance(address, ipaddress.IPv6Address):
        # Written for an IPv4 address by a translator, or by a resolver.
        if address in _NAT64:
            return is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        if address not in _UNICAST:
            return False
    if any(address in network for network in _NO_HOSTS):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def written(host: str) -> Address | None:
    """Return the address that a host is written as; None for a name."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


# Names that mean something else, or nothing, on another machine.
_INSIDE = ("localhost", ".localhost", ".local", ".internal", ".lan", ".home.arpa")


def may_reach(our_url: str, vendor_url: str) -> bool:
    """True if a vendor can call our address, as far as the two addresses show.

    A vendor on the internet needs a public address with https. A vendor inside our network reaches
    what we reach, except our loopback, which only this machine reaches.
    """
    if not _is_inside(vendor_url):
        return urlsplit(our_url).scheme == "https" and not _is_inside(our_url)
    here, there = (is_loopback(urlsplit(url).hostname or "") for url in (our_url, vendor_url))
    return there or not here


def _is_inside(url: str) -> bool:
    """True for an address of this machine or network; a bare name belongs to a container."""
    host = (urlsplit(url).hostname or "").rstrip(".")
    return is_near(host) or host.endswith(_INSIDE)


# Longer texts are no names.
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
LONGEST_NAME = 253
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
# At least two labels, because nobody should allow all of `.com`.
_PATTERN = re.compile(rf"\*(?:\.{_LABEL})+\.(?=[a-z0-9-]*[a-z]){_LABEL}")
_PORT = re.compile(r"(?P<host>.+?)(?::(?P<port>[0-9]{1,5}))?")
FORMS = "host, host:port, an address, or *.domain.example for all names below a domain"


def result_hosts(items: Iterable[str]) -> frozenset[str]:
    """Return the hosts in lower case; raise a ValueError that names the wrong ones."""
    hosts = [item.lower() for item in items]
    if wrong := [host for host in hosts if not _is_one(host)]:
        raise ValueError(f"not hosts: {', '.join(wrong)} (each is {FORMS})")
    return frozenset(hosts)


def is_below(name: str, patterns: Iterable[str]) -> bool:
    """True if a name, with its port if it has one, is below a pattern's domain."""
    found = _PORT.fullmatch(name)
    if found is None or not _is_name(found["host"]):
        return False
    return any(name.endswith(each[1:]) for each in patterns if each.startswith("*."))


def _is_one(text: str) -> bool:
    found = _PORT.fullmatch(text)
    if found is None or not 1 <= int(found["port"] or 1) <= 65535:
        return False
    host = found["host"]
    if host.startswith("[") and host.endswith("]"):
        return isinstance(written(host[1:-1]), ipaddress.IPv6Address)
    return _is_name(host) or bool(_PATTERN.fullmatch(host))


def _is_name(text: str) -> bool:
    return len(text) <= LONGEST_NAME and bool(_NAME.fullmatch(text))
