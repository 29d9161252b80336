"""Free checks before a job is submitted: of both vendors, and of the addresses between them.

Each check has a name and a probe; a finding names the setting to change.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlsplit

import httpx

from services.worker.settings.worker import WorkerSettings
from shared.errors import VendorError
from shared.http.client import http_client
from shared.jobs.genvideo import GENVIDEO, IMAGE, VIDEO
from shared.pipeline.answers import ask, json_object
from shared.pipeline.fetching import Resolve, resolved
from shared.pipeline.findings import Finding, ok, warning, wrong
from shared.pipeline.hosts import Address, is_near, is_public
from shared.pipeline.vendor import Vendor
from shared.redact import redacted

# A look-up of a name may take this long.
SECONDS = 5.0
# What a container calls the machine that it runs on.
GATEWAY = "host.docker.internal"
POLLING = "only polling finds the end of each video, a little later"
OPEN = (
    "COMFYUI_URL is public and needs no key, so anyone can run and read anything there; put a proxy"
    " before it that requires one (COMFYUI_HEADERS)"
)
FETCHED = (
    "the video service (VIDEO_API=service) fetches images from COMFYUI_URL without COMFYUI_HEADERS,"
    " so it needs its own access"
)
PLAIN = "is sent over the internet by plain http, so others can read it"
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, kw_only=True)
class Subject:
    """The subject of the checks. `stages`: those whose vendors are asked, because a mock may not
    run yet.

    `receiver`: our receiver runs, and must answer at the callback address.
    """

    settings: WorkerSettings
    images: Vendor
    videos: Vendor
    stages: Collection[str] = GENVIDEO.names
    receiver: bool = False
    resolve: Resolve = resolved


@dataclass(frozen=True)
class Examination:
    """The findings. `offers`: by stage, what a generation is made with, if the vendor says it."""

    findings: list[Finding]
    offers: dict[str, str]


async def examined(subject: Subject) -> Examination:
    """Run all checks of these vendors; a check that raises is a finding, too."""

    async def found(name: str, probe: Probe) -> list[Finding]:
        try:
            return await probe(subject)
        except VendorError as error:
            return [wrong(name, f"can't be examined: {error.message}")]

    parts = await asyncio.gather(*(found(name, probe) for name, probe in CHECKS.items()))
    offers = {"image": subject.images.offer(), "video": subject.videos.offer()}
    return Examination([each for part in parts for each in part], offers)


async def _vendor(subject: Subject, *, stage: str) -> list[Finding]:
    vendor = subject.images if stage == IMAGE.name else subject.videos
    return await vendor.examined() if stage in subject.stages else []


async def _callbacks(subject: Subject) -> list[Finding]:
    """Check that callbacks would reach our receiver; no finding if the vendor sends none."""
    if not subject.videos.traits.pushes:
        return []
    settings, resolve = subject.settings, subject.resolve
    ours = await _addresses_of(settings.callback_url, resolve)
    theirs = await _addresses_of(settings.video_service_url, resolve)
    at = f"CALLBACK_URL={redacted(settings.callback_url)}"
    name = "callbacks"
    if not ours and settings.proxy_for(settings.callback_url):
        return [warning(name, f"{at} can't be resolved from here, only by VENDOR_PROXY")]
    if not ours:
        return [wrong(name, f"{at}: its host does not resolve, so no callback can arrive")]
    if all(each.is_loopback for each in ours):
        host = urlsplit(settings.video_service_url).hostname
        if host == GATEWAY or all(each.is_loopback for each in theirs):
            return [ok(name, f"{at}: they stay on this machine, as the video vendor does")]
        elsewhere = "is reachable on this machine only, and the video vendor is elsewhere"
        return [warning(name, f"{at} {elsewhere}: {POLLING}")]
    if not _are_public(ours) and _are_public(theirs):
        return [warning(name, f"{at} is not public, but the video vendor is: {POLLING}")]
    if not subject.receiver:
        return [ok(name, f"{at} resolves; the receiver can be checked there when it runs")]
    return [await _receiver(settings, at)]


async def _receiver(settings: WorkerSettings, at: str) -> Finding:
    url, name = settings.callback_url, "receiver"
    async with http_client(url, proxy=settings.proxy_for(url)) as http:
        try:
            answer = await ask(http, "GET", "healthz")
        except VendorError as error:
            # The vendor's way to it may be another one, through a gateway that shows it outside.
            return warning(name, f"{at} can't be reached from here: {error.message}")
    if answer.status_code == httpx.codes.OK and json_object(answer) == {"status": "ok"}:
        return ok(name, f"{at}: the receiver answers there")
    other = f"another program than the receiver answers there (HTTP {answer.status_code})"
    return wrong(name, f"{at}: {other}")


async def _access(subject: Subject) -> list[Finding]:
    """Check that a public vendor needs a key, and that the key is sent encrypted.

    Findings are warnings, because the server may be protected in a way that we can't see.
    """
    settings, found = subject.settings, []
    guarded = bool(subject.images.credentials())
    if settings.image_api == "comfyui":
        if guarded and settings.video_api == "service":
            found.append(warning("ComfyUI images", FETCHED))
        if _are_public(await _addresses_of(settings.image_service_url, subject.resolve)):
            if not guarded:
                found.append(warning("ComfyUI access", OPEN))
            elif urlsplit(settings.image_service_url).scheme == "http":
                found.append(warning("ComfyUI access", f"COMFYUI_HEADERS {PLAIN} (COMFYUI_URL)"))
    url = settings.video_service_url
    keyless = settings.video_api == "service" or urlsplit(url).scheme == "https"
    if not keyless and _are_public(await _addresses_of(url, subject.resolve)):
        found.append(warning("video vendor access", f"the key {PLAIN} (KLING_URL)"))
    return found


async def _result_hosts(subject: Subject) -> list[Finding]:
    """Return a warning for each host that resolves to nothing or to a private address.

    For `*.domain`, and for the vendors' own hosts, which are many and change, only if none of them
    resolves. With a proxy the proxy resolves names.
    """
    name, settings, resolve = "result hosts", subject.settings, subject.resolve
    at = settings.vendor_addresses()
    pairs: tuple[tuple[Vendor, str], ...] = (
        (subject.images, at[IMAGE.vendor]),
        (subject.videos, at[VIDEO.vendor]),
    )
    # What stands in for a vendor nearby has its results with it.
    far = [each for each, url in pairs if not is_near(urlsplit(url).hostname or "")]
    own = frozenset(host for each in far for host in each.traits.result_hosts)
    named = settings.outside_hosts(*own)
    if not named or settings.proxy():
        return []
    many = sorted(each for each in named if each in own or each.startswith("*."))
    reasons = await asyncio.gather(*(_reason(it, resolve) for it in sorted(named - {*many})))
    found = [warning(name, reason) for reason in reasons if reason]
    known = await asyncio.gather(
        *(_addresses_of(f"https://{each.removeprefix('*.')}", resolve) for each in many)
    )
    if many and not any(known):
        found.append(warning(name, f"none of them resolves here: {', '.join(many)}"))
    return found or [ok(name, f"known: {', '.join(sorted(named))}")]


async def _reason(name: str, resolve: Resolve) -> str | None:
    found = await _addresses_of(f"https://{name}", resolve)
    if not found:
        return f"{name} does not resolve: nothing can be fetched from there (RESULT_HOSTS)"
    host = urlsplit(f"//{name}").hostname
    inside = [each for each in found if not is_public(each) and str(each) != host]
    if inside:
        return (
            f"{name} resolves to {inside[0]}, which is not public: results from there are refused"
        )
    return None


async def _addresses_of(url: str, resolve: Resolve) -> list[Address]:
    """Return the addresses of a host; none if its name does not resolve in time."""
    parts = urlsplit(url)
    try:
        async with asyncio.timeout(SECONDS):
            return await resolve(parts.hostname or "", parts.port or _PORTS[parts.scheme])
    except (OSError, TimeoutError):
        return []


def _are_public(found: list[Address]) -> bool:
    return bool(found) and all(map(is_public, found))


Probe = Callable[[Subject], Awaitable[list[Finding]]]
CHECKS: dict[str, Probe] = {
    "image vendor": partial(_vendor, stage=IMAGE.name),
    "video vendor": partial(_vendor, stage=VIDEO.name),
    "callbacks": _callbacks,
    "access": _access,
    "result hosts": _result_hosts,
}
