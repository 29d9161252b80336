"""Whether the video vendor's callbacks would reach our receiver, as far as that shows from here."""

from urllib.parse import urlsplit

import httpx

from services.worker.doctor.hosts import are_public, led_to
from services.worker.results.fetching import Resolve
from services.worker.settings.worker import WorkerSettings
from services.worker.vendors.answers import ask
from services.worker.vendors.failures import json_object
from services.worker.vendors.findings import Finding, ok, warning, wrong
from services.worker.vendors.vendor import Traits
from shared.errors import VendorError
from shared.http.client import http_client
from shared.redact import redacted

CHECK, RECEIVER = "callbacks", "receiver"
POLLING = "each video's end is found by polling alone, a little later"
# What a container calls the machine that it runs on.
GATEWAY = "host.docker.internal"


async def callbacks(
    settings: WorkerSettings, traits: Traits, *, receiver: bool, resolve: Resolve
) -> list[Finding]:
    """Nothing where the vendor calls nobody back."""
    if not traits.pushes:
        return []
    ours = await led_to(settings.callback_url, resolve)
    at = f"CALLBACK_URL={redacted(settings.callback_url)}"
    if not ours and settings.proxy_for(settings.callback_url):
        return [warning(CHECK, f"{at} can't be looked up from here, but by VENDOR_PROXY")]
    if not ours:
        return [wrong(CHECK, f"{at}: its host leads to no address, so no callback can arrive")]
    if all(each.is_loopback for each in ours):
        return [await _on_this_machine(settings, at, resolve)]
    if not are_public(ours) and are_public(await led_to(settings.video_service_url, resolve)):
        return [warning(CHECK, f"{at} is not public, which the video vendor is: {POLLING}")]
    if not receiver:
        return [ok(CHECK, f"{at} is known; whether the receiver answers there shows once it runs")]
    return [await _answering(settings, at)]


async def _on_this_machine(settings: WorkerSettings, at: str, resolve: Resolve) -> Finding:
    host = urlsplit(settings.video_service_url).hostname
    theirs = await led_to(settings.video_service_url, resolve)
    if host == GATEWAY or all(each.is_loopback for each in theirs):
        return ok(CHECK, f"{at}: they stay on this machine, as the video vendor does")
    return warning(CHECK, f"{at} is this machine alone, and the video vendor elsewhere: {POLLING}")


async def _answering(settings: WorkerSettings, at: str) -> Finding:
    """The receiver's own word, asked for by the address that the vendor is told."""
    url = settings.callback_url
    async with http_client(url, proxy=settings.proxy_for(url)) as http:
        try:
            answer = await ask(http, "GET", "healthz")
        except VendorError as error:
            # The vendor's way to it may be another one, through a gateway that shows it outside.
            return warning(RECEIVER, f"{at} can't be reached there from here: {error.message}")
    if answer.status_code == httpx.codes.OK and json_object(answer) == {"status": "ok"}:
        return ok(RECEIVER, f"{at}: the receiver answers there")
    return wrong(
        RECEIVER,
        f"{at}: somebody else than the receiver answers there (HTTP {answer.status_code})",
    )
