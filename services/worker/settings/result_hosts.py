"""Hosts that results may come from: `host`, `host:port`, an address, `*.domain` for all below."""

import ipaddress
import re
from collections.abc import Iterable

# Longer ones are no names: no resolver can be asked for them.
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
LONGEST_NAME = 253
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
# Below a domain of its own: nobody is to allow all of `.com`, and no address ends like this.
_PATTERN = re.compile(rf"\*(?:\.{_LABEL})+\.(?=[a-z0-9-]*[a-z]){_LABEL}")
_PORT = re.compile(r"(?P<host>.+?)(?::(?P<port>[0-9]{1,5}))?")
FORMS = "host, host:port, an address, or *.domain.example for all names below a domain"


def result_hosts(items: Iterable[str]) -> frozenset[str]:
    """The same in small letters; ValueError that names the wrong ones."""
    hosts = [item.lower() for item in items]
    if wrong := [host for host in hosts if not _is_one(host)]:
        raise ValueError(f"no hosts: {', '.join(wrong)} (each is {FORMS})")
    return frozenset(hosts)


def is_below(name: str, patterns: Iterable[str]) -> bool:
    """Whether a name, with its port where it has one, is below a domain of a pattern."""
    found = _PORT.fullmatch(name)
    if found is None or not _is_name(found["host"]):
        return False
    return any(name.endswith(each[1:]) for each in patterns if each.startswith("*."))


def _is_one(text: str) -> bool:
    found = _PORT.fullmatch(text)
    if found is None or not 1 <= int(found["port"] or 1) <= 65535:
        return False
    host = found["host"]
    return _is_name(host) or bool(_PATTERN.fullmatch(host)) or _is_ipv6(host)


def _is_name(text: str) -> bool:
    return len(text) <= LONGEST_NAME and bool(_NAME.fullmatch(text))


def _is_ipv6(host: str) -> bool:
    try:
        ipaddress.IPv6Address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return host.startswith("[") and host.endswith("]")
