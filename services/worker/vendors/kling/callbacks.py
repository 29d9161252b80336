"""Whom an address to call back at may be told: it carries a token, and must lead somewhere."""

import ipaddress
from urllib.parse import urlsplit

from shared.hosts import is_loopback

# Names that mean something else, or nothing, on another machine.
INSIDE = ("localhost", ".localhost", ".local", ".internal", ".lan", ".home.arpa")


def may_be_told(callback_url: str, vendor_url: str) -> bool:
    """Whether the vendor can call us back there, as far as the addresses say.

    One of the internet needs a public address with https. One inside is no Kling, but what stands
    in for it, and has no other way to us than ours to it; this machine is reached by itself alone.
    """
    if is_inside(vendor_url):
        return _is_here(vendor_url) or not _is_here(callback_url)
    return urlsplit(callback_url).scheme == "https" and not is_inside(callback_url)


def _is_here(url: str) -> bool:
    return is_loopback(urlsplit(url).hostname or "")


def is_inside(url: str) -> bool:
    """Whether an address is one of this machine or network; a bare name is one of a container."""
    host = (urlsplit(url).hostname or "").rstrip(".")
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return "." not in host or host.endswith(INSIDE)
