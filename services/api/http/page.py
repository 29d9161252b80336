"""The dashboard: static files that need no build and no other address."""

import asyncio
import re
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Response
from fastapi import Path as FromPath

from services.api.http.parts.parameters import ServiceDep
from services.api.http.parts.session import PATH, Sessions
from services.api.models import PageConfig
from services.api.service import Service
from shared.errors import RouteNotFound
from shared.http.ranges import RangedFile
from shared.texts import ERRORS, PAGE

FOLDER = Path(__file__).parents[1] / "dashboard"
INDEX = FOLDER / "index.html"
TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self';"
    " img-src 'self' data:; media-src 'self'; connect-src 'self'; base-uri 'none';"
    " form-action 'self'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
_PART = re.compile(r"([a-z]+/)?[a-z0-9]+\.(js|css|svg)")

router = APIRouter(include_in_schema=False)


@router.get("/")
async def index(service: ServiceDep) -> RangedFile:
    """The page; pictures and videos may come from a store elsewhere, where that is set."""
    headers = HEADERS | {"Content-Security-Policy": await _policy(service)}
    return RangedFile(INDEX, headers=headers)


async def _policy(service: Service) -> str:
    if not service.settings.links:
        return POLICY
    signed = await asyncio.to_thread(service.assets.store.presigned, "any", 1)
    address = urlsplit(str(signed))
    store = f"{address.scheme}://{address.netloc}"
    return POLICY.replace("media-src 'self'", f"media-src 'self' {store}").replace(
        "img-src 'self'", f"img-src 'self' {store}"
    )


@router.post(PATH, status_code=204)
async def begin_session(service: ServiceDep, response: Response) -> None:
    """Give a cookie to who has shown the token, for what a page can't send the token with."""
    if service.settings.api_token is not None:
        Sessions(service.settings).begin(response)


@router.get("/dashboard/config")
async def config(service: ServiceDep) -> PageConfig:
    """What the page must know of its surroundings."""
    return PageConfig(
        mocks=service.settings.mocks == "on",
        temporal_ui_url=str(service.settings.temporal_ui_url).rstrip("/"),
        temporal_namespace=service.client.namespace,
    )


@router.get("/dashboard/texts.json")
async def texts() -> RangedFile:
    """The page's texts in Chinese; in English it needs none."""
    return RangedFile(PAGE, headers=HEADERS)


@router.get("/dashboard/errors.json")
async def errors() -> RangedFile:
    """What the services answer where something went wrong, in Chinese."""
    return RangedFile(ERRORS, headers=HEADERS)


@router.get("/dashboard/{name:path}")
async def part(name: Annotated[str, FromPath(max_length=40)]) -> RangedFile:
    """One of the page's files, at the top or in a room; a name with more than that is none."""
    path = FOLDER / name
    if not _PART.fullmatch(name) or not path.is_file():
        raise RouteNotFound("Not found")
    return RangedFile(path, headers=HEADERS, media_type=TYPES[path.suffix])
