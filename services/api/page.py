"""The dashboard: static files that need no build and no other address."""

from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse

from services.api.models import PageConfig
from services.api.service import ServiceDep

FOLDER = Path(__file__).with_name("dashboard")
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
        " media-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self';"
        " frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}

router = APIRouter(include_in_schema=False)


@router.get("/")
async def index() -> FileResponse:
    """The page."""
    return FileResponse(FOLDER / "index.html", headers=HEADERS)


@router.get("/dashboard/app.css")
async def style() -> FileResponse:
    """Its looks."""
    return FileResponse(FOLDER / "app.css", headers=HEADERS)


@router.get("/dashboard/app.js")
async def script() -> FileResponse:
    """Its program."""
    return FileResponse(FOLDER / "app.js", headers=HEADERS, media_type="text/javascript")


@router.get("/dashboard/config")
async def config(service: ServiceDep) -> PageConfig:
    """What the page must know of its surroundings."""
    return PageConfig(
        mocks=service.settings.mocks == "on",
        temporal_ui_url=str(service.settings.temporal_ui_url).rstrip("/"),
        temporal_namespace=service.client.namespace,
    )
