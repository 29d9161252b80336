"""The dashboard: files without a build step."""

import re
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from fastapi import Path as FromPath

from services.api.http.access import PATH, Sessions
from services.api.http.routes import ServiceDep
from shared.errors import RouteNotFound
from shared.http.ranges import ranged_file
from shared.pipeline.definition import Definition, JobInput
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
async def config(service: ServiceDep) -> dict[str, Any]:
    """What the page must know about the stack; `mocks`: the stages with mocks."""
    return {
        "mocks": MOCKED[service.settings.mocks],
        "pipelines": {name: _view(each) for name, each in service.settings.known.items()},
        "temporal_ui_url": str(service.settings.temporal_ui_url).rstrip("/"),
        "temporal_namespace": service.client.namespace,
    }


def _view(pipeline: Definition) -> dict[str, Any]:
    """Return the stages of a pipeline, and the fields of its own input, whose values are text."""
    given, common = pipeline.input.model_fields, JobInput.model_fields
    fields = [(name, given[name]) for name in given if name not in common]
    return {
        "stages": [{"name": it.name, "media_type": it.file.media_type} for it in pipeline.stages],
        "fields": [{"name": name, "required": it.is_required()} for name, it in fields],
    }


@router.get("/dashboard/{name:path}")
async def part(name: Annotated[str, FromPath(max_length=40)], request: Request) -> Response:
    """One of the page's files, or the Chinese texts of the page and of the services."""
    path = TABLES.get(name, FOLDER / name)
    if not (name in TABLES or _PART.fullmatch(name)) or not path.is_file():
        raise RouteNotFound("Not found")
    return await ranged_file(request, path, HEADERS, media_type=TYPES[path.suffix])
