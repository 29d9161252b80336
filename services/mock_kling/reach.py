"""Whom this mock calls: the hosts it was told of, this machine, and nobody else."""

import ipaddress

import httpx

from services.mock_core.problems import Problem
from services.mock_core.runner.runner import GenerationError
from services.mock_kling.settings import KlingSettings, listed

BAD_MEMBER = 1201
# On any port: whoever may call the mock is on this machine, and could call these, too.
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_INSIDE = (".localhost", ".local", ".internal", ".localdomain")
_PORTS = {"http": 80, "https": 443}


class Reach:
    """Says of an address, before it is called, whether it may be."""

    def __init__(self, settings: KlingSettings) -> None:
        self._callbacks = frozenset(listed(settings.mock_callback_hosts))
        self._pictures = frozenset(listed(settings.mock_picture_hosts))

    def check_callback(self, url: str | None, *, public: bool = False) -> None:
        """Problem (400, code 1201) where a task of this address is not to be accepted.

        `public`: nor where nobody but this machine or its network has that address.
        """
        if url is not None and public and not _is_public(url):
            raise Problem(400, BAD_MEMBER, detail="callback_url is not a public address")
        if url is not None and not _may_call(url, self._callbacks):
            reason = "the callback_url's host is none of MOCK_CALLBACK_HOSTS"
            raise Problem(400, BAD_MEMBER, detail=reason)

    def check_picture(self, url: str) -> None:
        """GenerationError where nothing is fetched from there; the vendor, too, finds out late."""
        if not _may_call(url, self._pictures):
            raise GenerationError("image download failed: its host is none of MOCK_PICTURE_HOSTS")


def _is_public(address: str) -> bool:
    """By its name alone; nothing is resolved."""
    try:
        host = httpx.URL(address).host
    except (httpx.InvalidURL, ValueError):
        return False
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        return "." in host.rstrip(".") and not host.rstrip(".").endswith(_INSIDE)


def _may_call(address: str, hosts: frozenset[str]) -> bool:
    """As the client that calls reads the address, not as it is written."""
    try:
        url = httpx.URL(address)
    except (httpx.InvalidURL, ValueError):
        return False
    if url.scheme not in _PORTS:
        return False
    name = url.netloc.decode("ascii")
    names = {name} if url.port else {name, f"{name}:{_PORTS[url.scheme]}"}
    return url.host in _LOOPBACK or not names.isdisjoint(hosts)
