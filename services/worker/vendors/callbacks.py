"""Whom an address to call back at may be told: it carries a token, and must lead somewhere."""

import ipaddress
from urllib.parse import urlsplit

import structlog

from services.worker.settings.worker import WorkerSettings
from services.worker.vendors.findings import Finding, warning
from shared.http.hosts import is_loopback
from shared.redact import redacted

log = structlog.get_logger(__name__)

# Names that mean something else, or nothing, on another machine.
INSIDE = ("localhost", ".localhost", ".local", ".internal", ".lan", ".home.arpa")


def pushes_to_us(settings: WorkerSettings) -> bool:
    """Whether the video vendor is told an address; where it isn't, that is said once."""
    if may_be_told(settings.callback_url, settings.video_service_url):
        return True
    log_no_callbacks("CALLBACK_URL is no public https address")
    return False


def log_no_callbacks(why: str) -> None:
    """Say it."""
    log.info("no callbacks: the video vendor is polled", reason=why)


def untold(check: str, settings: WorkerSettings, vendor: str) -> Finding:
    """What comes of that for each video."""
    return warning(
        check,
        f"polling alone: CALLBACK_URL={redacted(settings.callback_url)} is no public https"
        f" address, so {vendor} is told none",
    )


def may_be_told(callback_url: str, vendor_url: str) -> bool:
    """Whether the vendor can call us back there, as far as the addresses say.

    One of the internet needs a public address with https. One inside is not the vendor, but what
    stands in for it, and has no other way to us than ours to it; this machine is reached by itself
    alone.
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
