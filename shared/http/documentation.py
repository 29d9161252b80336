"""Serve `/docs` by Swagger UI from an installed package; it loads nothing from elsewhere."""

from functools import cache
from importlib.util import find_spec
from pathlib import Path

from fastapi import FastAPI, Request, Response
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse

from shared.errors import RouteNotFound
from shared.http.ranges import ranged_file

# Found and never imported, because only its files are needed.
PACKAGE = "fastapi_swagger"
POLICY = "default-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'"
TYPES = {"swagger-ui.css": "text/css", "swagger-ui-bundle.js": "text/javascript"}


def add_documentation(app: FastAPI) -> None:
    """Add the page. Make the app without the framework's pages (`docs_url`, `redoc_url`)."""

    @app.get("/docs", include_in_schema=False)
    async def page() -> HTMLResponse:
        # Relative addresses, because a proxy may serve the app below another one.
        html = get_swagger_ui_html(
            title=app.title,
            openapi_url="openapi.json",
            swagger_css_url="docs/swagger-ui.css",
            swagger_js_url="docs/swagger-ui-bundle.js",
            swagger_favicon_url="data:,",
        )
        html.headers["Content-Security-Policy"] = POLICY
        return html

    @app.get("/docs/{name}", include_in_schema=False)
    async def file(name: str, request: Request) -> Response:
        if name not in TYPES:
            raise RouteNotFound("Not found")
        headers = {"Cache-Control": "no-cache"}
        return await ranged_file(request, _folder() / name, headers, media_type=TYPES[name])


@cache
def _folder() -> Path:
    found = find_spec(PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise RouteNotFound(f"{PACKAGE} is not installed.")
    return Path(found.submodule_search_locations[0]) / "resources"
