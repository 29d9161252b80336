"""The native wire: the files of the output, temp and input folders."""

import io
import posixpath
from hashlib import sha256
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Header, Query, Request
from PIL import Image
from starlette.responses import Response

from services.mock_comfyui.config import native_config
from services.mock_comfyui.folders.folders import FOLDERS, key_of
from services.mock_comfyui.native.signed import signed_address
from services.mock_comfyui.native.wire import MalformedBody, TheQueue
from services.mock_core.exchange.files import serve_file
from services.mock_core.headers import base_url
from services.mock_core.mock import TheMock

router = APIRouter(tags=["native"])
# A browser would run what such a file says.
_HARMFUL = ("text/html", "application/xhtml+xml", "text/javascript", "text/css")


@router.get(
    "/view",
    response_class=Response,
    responses={
        200: {"content": {"image/png": {}}},
        206: {"content": {"image/png": {}}},
        304: {"description": "the file that is known by this Etag"},
        302: {"description": "a signed address, where the server is told to answer so"},
        400: {"description": "no name, a name that leads out of its folder, or no such folder"},
        403: {"description": "a subfolder that leads out"},
        404: {"description": "no such file"},
        416: {"description": "a range outside the file"},
    },
)
async def view(
    request: Request,
    mock: TheMock,
    queue: TheQueue,
    filename: str | None = None,
    subfolder: str = "",
    folder: Annotated[str, Query(alias="type")] = "output",
    preview: str = "",
    range_: Annotated[str | None, Header(alias="Range")] = None,
    known: Annotated[str, Header(alias="If-None-Match")] = "",
) -> Response:
    """A file as far as it is written; it outlives the history."""
    if filename is None:
        return Response(status_code=404)
    for other in FOLDERS:
        if filename.endswith(f" [{other}]"):
            filename, folder = filename.removesuffix(f" [{other}]"), other
    if not filename or ".." in filename or filename.startswith("/") or folder not in FOLDERS:
        return Response(status_code=400)
    inside = posixpath.normpath(subfolder) if subfolder else ""
    if inside.startswith(("/", "..")):
        return Response(status_code=403)
    key = key_of(posixpath.basename(filename), "" if inside == "." else inside, folder)
    file = queue.saver.folders.get(key)
    if file is None:
        return Response(status_code=404)
    config = native_config(mock)
    if config.view == "signed":
        base = config.signed_base or base_url(request)
        return Response(status_code=302, headers={"Location": signed_address(base, key)})
    if preview:
        return _preview(file.body, preview)
    tag = f'"{sha256(file.body).hexdigest()[:16]}-{len(file.body):x}"'
    if known == tag:
        return Response(status_code=304, headers={"Etag": tag})
    reply = await serve_file(mock, key, range_header=range_)
    if reply.status_code in (200, 206):
        _name(reply, posixpath.basename(filename))
        reply.headers["Etag"] = tag
    return reply


def _name(reply: Response, filename: str) -> None:
    """As what it is to be kept; what a browser would run is no page here."""
    kind = reply.headers["content-type"].partition(";")[0]
    if kind in _HARMFUL:
        reply.headers["Content-Type"] = "application/octet-stream"
    attached = "attachment; " if kind in _HARMFUL else ""
    name = quote(filename, safe=" !#$&'()+,-.;=@[]^_`{}~")
    reply.headers["Content-Disposition"] = f'{attached}filename="{name}"'
    reply.headers["X-Content-Type-Options"] = "nosniff"


def _preview(body: bytes, wanted: str) -> Response:
    """Made anew, as `jpeg;50` or `webp;90` says; what is neither becomes a WEBP."""
    format_, _, quality = wanted.partition(";")
    format_ = format_ if format_ in ("jpeg", "webp") else "webp"
    out = io.BytesIO()
    try:
        picture = Image.open(io.BytesIO(body)).convert("RGB")
        picture.save(out, format_, quality=int(quality) if quality.isdecimal() else 90)
    except (OSError, ValueError, SyntaxError) as error:
        raise MalformedBody from error
    return Response(out.getvalue(), media_type=f"image/{format_}")
