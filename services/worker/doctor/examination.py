"""Both vendors looked at, each by its own checks, and what lies between them and us."""

import asyncio
from dataclasses import dataclass
from urllib.parse import urlsplit

from services.worker.doctor.access import access
from services.worker.doctor.callbacks import callbacks
from services.worker.doctor.hosts import result_hosts
from services.worker.results.fetching import Resolve, resolved
from services.worker.settings.addresses import is_near
from services.worker.settings.worker import WorkerSettings
from services.worker.vendors.chosen import chosen_images, chosen_videos
from services.worker.vendors.findings import Examined, Finding, Offering, wrong
from services.worker.vendors.vendor import Traits, Vendor
from shared.errors import VendorError
from shared.jobs.states import Step

UNSAID = "it does not say what it makes them with"


@dataclass(frozen=True)
class Examination:
    """`offers`: by stage, what a generation is made with, as far as the vendor says it."""

    findings: list[Finding]
    offers: dict[str, str]


async def examine(
    settings: WorkerSettings, *, receiver: bool, resolve: Resolve = resolved
) -> Examination:
    """All checks, side by side; `receiver`: ours runs, and is to answer where vendors are told."""
    async with chosen_images(settings) as images, chosen_videos(settings) as videos:
        parts = await asyncio.gather(
            _examined(images, "image vendor"),
            _examined(videos, "video vendor"),
            callbacks(settings, videos.traits, receiver=receiver, resolve=resolve),
            access(settings, images, resolve=resolve),
            result_hosts(settings, _far(settings, images, videos), resolve=resolve),
        )
        offers = {"image": _offer(images), "video": _offer(videos)}
    return Examination([each for part in parts for each in part], offers)


def _far(settings: WorkerSettings, images: Vendor, videos: Vendor) -> list[Traits]:
    """Of the vendors themselves; what stands in for one nearby has its results with it."""
    at = settings.vendor_addresses()
    pairs = ((images, at[Step.IMAGE]), (videos, at[Step.VIDEO]))
    return [vendor.traits for vendor, url in pairs if not is_near(urlsplit(url).hostname or "")]


async def _examined(vendor: Vendor, name: str) -> list[Finding]:
    if not isinstance(vendor, Examined):
        return []
    try:
        return await vendor.examined()
    except VendorError as error:
        return [wrong(name, f"can't be examined: {error.message}")]


def _offer(vendor: Vendor) -> str:
    return vendor.offer() if isinstance(vendor, Offering) else UNSAID
