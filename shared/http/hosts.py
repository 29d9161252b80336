"""Parse host names from settings and requests, without a port; needs no web framework."""

import ipaddress
import re
from urllib.parse import urlsplit

LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})
# Of `/readyz`: the process group that answers, so that its starter recognizes it.
PROCESS_HEADER = "X-Process-Group"
_HOST = r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::[0-9]{1,5})?"
AUTHORITY = re.compile(_HOST)
ORIGIN = re.compile(f"https?://{_HOST}")
_NAME = re.compile(r"[a-z0-9]([a-z0-9._-]{0,251}[a-z0-9])?")


def host_of(text: str, form: re.Pattern[str] = AUTHORITY) -> str | None:
    """Return the host of a `Host`, or of an `Origin`; None if it is invalid."""
    found = form.fullmatch(text.lower())
    return None if found is None else found[1]


def host_of_url(url: str) -> str:
    """Return the host of a valid URL, as a browser writes it into `Host`."""
    host = urlsplit(url).hostname or ""
    return f"[{host}]" if ":" in host else host


def _canonical(host: str) -> str:
    """Return a name or an address in canonical form; raise ValueError if it is neither."""
    bare = host.removeprefix("[").removesuffix("]").lower()
    if ":" in bare:
        return f"[{ipaddress.IPv6Address(bare)}]"
    if not _NAME.fullmatch(bare):
        raise ValueError(f"no host: {host}")
    return bare


def listed(text: str) -> frozenset[str]:
    """Return the hosts of a list with commas; raise a ValueError that names the wrong ones."""
    hosts, wrong = set(), []
    for item in filter(None, map(str.strip, text.split(","))):
        try:
            hosts.add(_canonical(item))
        except ValueError:
            wrong.append(item)
    if wrong:
        raise ValueError(f"not names or addresses without a port: {', '.join(wrong)}")
    return frozenset(hosts)


def is_loopback(address: str) -> bool:
    """True if other machines can't reach this address."""
    if address == "localhost":
        return True
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
