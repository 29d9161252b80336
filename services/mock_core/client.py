"""Check which hosts the mocks may call."""

import httpx

# On any port: a caller of the mock is on this machine, and could call these, too.
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_PORTS = {"http": 80, "https": 443}


def may_call(address: str, hosts: frozenset[str]) -> bool:
    """True if an address is this machine's or one of these hosts', as the client parses it."""
    try:
        url = httpx.URL(address)
    except (httpx.InvalidURL, ValueError):
        return False
    if url.scheme not in _PORTS:
        return False
    name = url.netloc.decode("ascii")
    names = {name} if url.port else {name, f"{name}:{_PORTS[url.scheme]}"}
    return url.host in _LOOPBACK or not names.isdisjoint(hosts)
