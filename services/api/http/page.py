"""The dashboard and the reports: files without a build step."""

import html
import mimetypes
import re
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from fastapi import Path as FromPath
from fastapi.responses import HTMLResponse

from services.api.http.access import PATH, Sessions
from services.api.http.routes import ServiceDep
from services.api.models import PageConfig, PipelineView
from shared.errors import RouteNotFound
from shared.http.ranges import ranged_file
from shared.settings.common import MOCKED
from shared.texts import ERRORS, PAGE

FOLDER = Path(__file__).parents[1] / "dashboard"
TABLES = {"texts.json": PAGE, "errors.json": ERRORS}
TYPES = {
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".json": "application/json",
}
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
async def index(request: Request) -> Response:
    """The page."""
    return await ranged_file(request, FOLDER / "index.html", HEADERS)


@router.post(PATH, status_code=204)
async def begin_session(service: ServiceDep, response: Response) -> None:
    """Set a cookie in exchange for the token, for requests that can't carry the token."""
    if service.settings.api_token is not None:
        Sessions(service.settings).begin(response)


@router.get("/dashboard/config")
async def config(service: ServiceDep) -> PageConfig:
    """What the page must know about the stack."""
    return PageConfig(
        mocks=MOCKED[service.settings.mocks],
        pipelines={name: PipelineView.of(each) for name, each in service.settings.known.items()},
        temporal_ui_url=str(service.settings.temporal_ui_url).rstrip("/"),
        temporal_namespace=service.client.namespace,
    )


@router.get("/dashboard/{name:path}")
async def part(name: Annotated[str, FromPath(max_length=40)], request: Request) -> Response:
    """One of the page's files, or the Chinese texts of the page and of the services."""
    path = TABLES.get(name, FOLDER / name)
    if not (name in TABLES or _PART.fullmatch(name)) or not path.is_file():
        raise RouteNotFound("Not found")
    return await ranged_file(request, path, HEADERS, media_type=TYPES[path.suffix])


# A report has its own styles, and prompts in it; nothing in it can run or reach our data. It keeps
# its origin, because a browser sends no session along with a link of a page without one.
REPORT_HEADERS = {
    "Content-Security-Policy": (
        "sandbox allow-same-origin allow-popups; default-src 'none'; style-src 'unsafe-inline'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}
_RUN = re.compile(r"[0-9]{8}-[0-9]{6}-[0-9a-f]{4}")
_FILE = re.compile(r"([a-z]+/)?[\w-][\w.-]*|[a-z]+/", re.ASCII)
REPORT = "report.html"


def _report(
    run: Annotated[str, FromPath(max_length=40)],
    name: Annotated[str, FromPath(max_length=200)],
    service: ServiceDep,
) -> Path | HTMLResponse:
    """Return a file of a run, or the list of a folder. In a thread, because a disk may be slow."""
    path = service.settings.reports_dir.resolve() / run / name
    fits = _RUN.fullmatch(run) and _FILE.fullmatch(name) and path.resolve() == path
    if fits and name.endswith("/") and path.is_dir():
        return _listed(path)
    if not fits or not path.is_file():
        raise RouteNotFound("There is no such report here.")
    return path


@router.api_route("/reports/{run}/{name:path}", methods=["GET", "HEAD"])
async def report(
    found: Annotated[Path | HTMLResponse, Depends(_report)], request: Request
) -> Response:
    """The report of one run, a file that it links to, or the list of a folder of files.

    Links of the file system are not followed.
    """
    if isinstance(found, HTMLResponse):
        return found
    return await ranged_file(request, found, REPORT_HEADERS, media_type=_kind(found.name))


def _kind(name: str) -> str:
    """Return the media type: text, except for the report itself and what a browser can show."""
    if name == REPORT:
        return "text/html"
    kind, packed = mimetypes.guess_type(name)
    if packed or kind == "application/gzip":
        return "application/octet-stream"
    return "application/json" if kind == "application/json" else "text/plain"


def _listed(folder: Path) -> HTMLResponse:
    names = sorted(html.escape(path.name) for path in folder.iterdir() if path.is_file())
    rows = "".join(f'<li><a href="{name}">{name}</a></li>' for name in names)
    title = html.escape(folder.name)
    page = f'<!doctype html><html lang="en"><title>{title}</title><h1>{title}</h1><ul>{rows}</ul>'
    return HTMLResponse(page, headers=REPORT_HEADERS)
