"""The reports of the load test and the files beside them, where the API can read them."""

import html
import mimetypes
import re
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Response
from fastapi import Path as FromPath
from fastapi.responses import HTMLResponse

from services.api.http.parts.parameters import ServiceDep
from shared.errors import RouteNotFound
from shared.http.ranges import RangedFile

# A report brings its own styles, and prompts in it; nothing in it runs or gets at what is ours.
# It keeps its origin: a browser sends no session along with a link of a page that has none.
HEADERS = {
    "Content-Security-Policy": (
        "sandbox allow-same-origin allow-popups; default-src 'none'; style-src 'unsafe-inline'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}
_RUN = re.compile(r"[0-9]{8}-[0-9]{6}-[0-9a-f]{4}")
_FILE = re.compile(r"([a-z]+/)?[\w-][\w.-]*|[a-z]+/", re.ASCII)
PAGE = "report.html"

router = APIRouter(include_in_schema=False)


@router.api_route("/reports/{run}/{name:path}", methods=["GET", "HEAD"])
def report(
    run: Annotated[str, FromPath(max_length=40)],
    name: Annotated[str, FromPath(max_length=200)],
    service: ServiceDep,
) -> Response:
    """The report of one run, one of the files that it links to, or the list of a folder of them.

    Nothing that is reached by a link of the file system. In a thread, for a disk may be slow.
    """
    path = service.settings.reports_dir.resolve() / run / name
    fits = _RUN.fullmatch(run) and _FILE.fullmatch(name) and path.resolve() == path
    if fits and name.endswith("/") and path.is_dir():
        return _listed(path)
    if not fits or not path.is_file():
        raise RouteNotFound("There is no such report here.")
    return RangedFile(path, headers=HEADERS, media_type=_kind(name))


def _kind(name: str) -> str:
    """Text, whatever it is, but for the report itself and what a browser shows as well."""
    if name == PAGE:
        return "text/html"
    kind, packed = mimetypes.guess_type(name)
    if packed or kind == "application/gzip":
        return "application/octet-stream"
    return "application/json" if kind == "application/json" else "text/plain"


def _listed(folder: Path) -> Response:
    names = sorted(html.escape(path.name) for path in folder.iterdir() if path.is_file())
    rows = "".join(f'<li><a href="{name}">{name}</a></li>' for name in names)
    title = html.escape(folder.name)
    page = f'<!doctype html><html lang="en"><title>{title}</title><h1>{title}</h1><ul>{rows}</ul>'
    return HTMLResponse(page, headers=HEADERS)
