"""Whether a vendor that anybody can reach is guarded, and our key for it is sent in secret."""

from urllib.parse import urlsplit

from services.worker.doctor.hosts import are_public, led_to
from services.worker.results.fetching import Resolve
from services.worker.settings.worker import WorkerSettings
from services.worker.vendors.findings import Finding, warning
from services.worker.vendors.vendor import ImageVendor

_OPEN = (
    "COMFYUI_URL is public, and lets us in without a key: so it does with everybody, who may run"
    " and read what they like there; put a proxy before it that asks for one (COMFYUI_HEADERS)"
)
_FETCHED = (
    "the video service (VIDEO_API=service) fetches images from COMFYUI_URL itself, and is not given"
    " COMFYUI_HEADERS: it has to get in by itself"
)
_PLAIN = "is sent over the internet by plain http, for everybody on the way to read"


async def access(
    settings: WorkerSettings, images: ImageVendor, *, resolve: Resolve
) -> list[Finding]:
    """Warnings alone: who else can reach it can't be told from here."""
    return [
        *_fetched(settings, images),
        *(await _comfyui(settings, images, resolve) if settings.image_api == "comfyui" else []),
        *(await _videos(settings, resolve) if settings.video_api != "service" else []),
    ]


def _fetched(settings: WorkerSettings, images: ImageVendor) -> list[Finding]:
    by_its_address = settings.image_api == "comfyui" and settings.video_api == "service"
    guarded = by_its_address and images.credentials()
    return [warning("ComfyUI images", _FETCHED)] if guarded else []


async def _comfyui(
    settings: WorkerSettings, images: ImageVendor, resolve: Resolve
) -> list[Finding]:
    if not await _is_public(settings.image_service_url, resolve):
        return []
    if not images.credentials():
        return [warning("ComfyUI access", _OPEN)]
    if _is_plain(settings.image_service_url):
        return [warning("ComfyUI access", f"COMFYUI_HEADERS {_PLAIN} (COMFYUI_URL)")]
    return []


async def _videos(settings: WorkerSettings, resolve: Resolve) -> list[Finding]:
    url = settings.video_service_url
    if _is_plain(url) and await _is_public(url, resolve):
        return [warning("video vendor access", f"the key {_PLAIN} (KLING_URL)")]
    return []


def _is_plain(url: str) -> bool:
    return urlsplit(url).scheme == "http"


async def _is_public(url: str, resolve: Resolve) -> bool:
    return are_public(await led_to(url, resolve))
