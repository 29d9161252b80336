"""Open the two vendors that the settings name, each with its HTTP client."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pkgutil import resolve_name

from services.worker.settings.worker import WorkerSettings
from services.worker.vendors.comfyui.images import comfyui_images
from services.worker.vendors.kling.videos import KlingVideos
from services.worker.vendors.service import ImageService, VideoService
from shared.http.client import http_client
from shared.pipeline.vendor import Vendor


@asynccontextmanager
async def chosen_images(settings: WorkerSettings) -> AsyncIterator[Vendor]:
    if settings.image_api == "comfyui":
        async with comfyui_images(settings) as images:
            yield images
        return
    url = settings.image_service_url
    async with http_client(url, proxy=settings.proxy_for(url)) as http:
        yield ImageService(http)


@asynccontextmanager
async def chosen_videos(settings: WorkerSettings) -> AsyncIterator[Vendor]:
    url = settings.video_service_url
    async with http_client(url, proxy=settings.proxy_for(url)) as http:
        match settings.video_api:
            case "service":
                yield VideoService(http)
            case "kling":
                yield KlingVideos(http, settings)
            case path:
                yield resolve_name(path)(http, settings)
