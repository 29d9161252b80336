"""The way to the ComfyUI of the settings, with the headers that let us in."""

from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from services.worker.settings.comfyui import headers_of
from services.worker.settings.worker import WorkerSettings
from services.worker.vendors.comfyui.calls import Calls
from services.worker.vendors.comfyui.images import ComfyuiImages
from services.worker.vendors.comfyui.percents import Percents
from shared.http.client import http_client


@asynccontextmanager
async def comfyui_images(settings: WorkerSettings) -> AsyncIterator[ComfyuiImages]:
    """The vendor, for as long as the block runs.

    A password of the address becomes a header like the others: neither a result's address nor a
    socket's may have one. Where those have an Authorization themselves, theirs is sent.
    """
    address = httpx.URL(settings.image_service_url)
    base = str(address.copy_with(userinfo=b""))
    headers = headers_of(settings.comfyui_headers)
    if "authorization" not in map(str.lower, headers):
        headers |= _password(address)
    proxy = settings.proxy_for(base)
    percents = Percents(base, settings.plan.weights(), headers, proxy=proxy)
    async with http_client(base, proxy=proxy) as http:
        http.headers.update(headers)
        try:
            calls = Calls(http, settings.plan.graph.escaped_bytes)
            yield ComfyuiImages(calls, settings.plan, percents, headers)
        finally:
            await percents.aclose()


def _password(address: httpx.URL) -> dict[str, str]:
    if not address.userinfo:
        return {}
    pair = f"{address.username}:{address.password}".encode()
    return {"Authorization": f"Basic {b64encode(pair).decode()}"}
