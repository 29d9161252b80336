"""The two vendors that the settings name, each with its way over HTTP."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pkgutil import resolve_name

import httpx

from services.worker.settings.worker import WorkerSettings
from services.worker.vendors.comfyui.connection import comfyui_images
from services.worker.vendors.kling.chosen import kling_videos
from services.worker.vendors.service.images import ImageService
from services.worker.vendors.service.videos import VideoService
from services.worker.vendors.vendor import ImageVendor, VideoVendor
from shared.http.client import http_client


@asynccontextmanager
async def chosen_images(settings: WorkerSettings) -> AsyncIterator[ImageVendor]:
    """The image vendor, for as long as the block runs."""
    if settings.image_api == "comfyui":
        async with comfyui_images(settings) as images:
            yield images
        return
    async with _client(settings, settings.image_service_url) as http:
        yield ImageService(http)


@asynccontextmanager
async def chosen_videos(settings: WorkerSettings) -> AsyncIterator[VideoVendor]:
    """The video vendor, for as long as the block runs."""
    async with _client(settings, settings.video_service_url) as http:
        yield _videos(settings, http)


def _videos(settings: WorkerSettings, http: httpx.AsyncClient) -> VideoVendor:
    match settings.video_api:
        case "kling":
            return kling_videos(http, settings)
        case "service":
            return VideoService(http)
        case path:
            videos: VideoVendor = resolve_name(path)(http, settings)
            return videos


def _client(settings: WorkerSettings, url: str) -> httpx.AsyncClient:
    return http_client(url, proxy=settings.proxy_for(url))
