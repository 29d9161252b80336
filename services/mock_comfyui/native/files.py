"""The native wire: the files of the output, temp and input folders."""

import email.parser
import email.policy
import hashlib
import hmac
import posixpath
import secrets
import time
from mimetypes import guess_type
from typing import Annotated
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Header, Query, Request
from starlette.responses import Response

from services.mock_comfyui.folders import FOLDERS, LONGEST, key_of, named
from services.mock_comfyui.native.wire import MalformedBody, NativeJson
from services.mock_comfyui.settings import native_config
from services.mock_core.calls import base_url, serve_file
from services.mock_core.mock import TheMock

signed_router = APIRouter(include_in_schema=False)
_SECRET = secrets.token_bytes(32)
_SECONDS = 300


@signed_router.get("/signed/{key:path}")
async def signed_file(
    request: Request, mock: TheMock, key: str, expires: str = "", signature: str = ""
) -> Response:
    """Serve the file; refuse a request that carries a key, as storage services do."""
    if {"authorization", "x-api-key"} & set(request.headers):
        return Response(status_code=400)
    good = hmac.compare_digest(signature.encode(), _signature(key, expires).encode())
    if not good or int(expires) < time.time():
        return Response(status_code=403)
    if mock.files.get(key) is None:
        return Response(status_code=404)
    return await serve_file(mock, key, range_header=request.headers.get("range"))


def _signature(key: str, expires: str) -> str:
    return hmac.new(_SECRET, f"{key}\n{expires}".encode(), hashlib.sha256).hexdigest()


router = APIRouter(include_in_schema=False)
# A browser would run the content of such a file.
_HARMFUL = ("text/html", "application/xhtml+xml", "text/javascript", "text/css")


@router.get("/view")
async def view(
    request: Request,
    mock: TheMock,
    filename: str | None = None,
    subfolder: str = "",
    folder: Annotated[str, Query(alias="type")] = "output",
    range_: Annotated[str | None, Header(alias="Range")] = None,
) -> Response:
    """Serve a file as far as it is written; it outlives the history."""
    if filename is None:
        return Response(status_code=404)
    filename, folder = named(filename, folder)
    if not filename or ".." in filename or filename.startswith("/") or folder not in FOLDERS:
        return Response(status_code=400)
    inside = posixpath.normpath(subfolder) if subfolder else ""
    if inside.startswith(("/", "..")):
        return Response(status_code=403)
    key = key_of(posixpath.basename(filename), "" if inside == "." else inside, folder)
    if mock.files.get(key) is None:
        return Response(status_code=404)
    config = native_config(mock)
    if config.view == "signed":
        base = config.signed_base or base_url(request)
        # An address of this file that is valid for some minutes.
        expires = str(int(time.time()) + _SECONDS)
        query = urlencode({"expires": expires, "signature": _signature(key, expires)})
        address = f"{base}/signed/{quote(key, safe='')}?{query}"
        return Response(status_code=302, headers={"Location": address})
    reply = await serve_file(mock, key, range_header=range_)
    if reply.status_code in (200, 206):
        is_harmful = reply.headers["content-type"].partition(";")[0] in _HARMFUL
        if is_harmful:
            reply.headers["Content-Type"] = "application/octet-stream"
        attached = "attachment; " if is_harmful else ""
        name = quote(posixpath.basename(filename), safe=" !#$&'()+,-.;=@[]^_`{}~")
        reply.headers["Content-Disposition"] = f'{attached}filename="{name}"'
        reply.headers["X-Content-Type-Options"] = "nosniff"
    return reply


@router.post("/upload/image")
async def upload(request: Request, mock: TheMock) -> Response:
    """Store a picture. If the name is taken by other bytes, add a number, unless `overwrite` is
    set."""
    parts = await _parts(request)
    if "image" not in parts:
        return Response(status_code=400)
    name, body = parts["image"]
    texts = {field: value.decode("utf-8", "replace") for field, (_, value) in parts.items()}
    folder = texts.get("type", "input")
    if name is None or folder not in FOLDERS:
        raise MalformedBody
    subfolder = texts.get("subfolder", "")
    if subfolder.startswith("/") or posixpath.normpath(posixpath.join(subfolder, name)).startswith(
        ("/", "..")
    ):
        return Response(status_code=400)
    if name in ("", ".") or "/" in name or len(name.encode()) > LONGEST:
        raise MalformedBody
    inside = posixpath.normpath(subfolder) if subfolder else ""
    stem, ending = posixpath.splitext(name)
    number = 0
    while texts.get("overwrite") not in ("true", "1"):
        old = mock.files.get(key_of(name, inside, folder))
        if old is None or old.body == body:
            break
        number += 1
        name = f"{stem} ({number}){ending}"
    kind = guess_type(name)[0] or "application/octet-stream"
    mock.files.put(key_of(name, inside, folder), body, kind)
    return NativeJson({"name": name, "subfolder": subfolder, "type": folder})


async def _parts(request: Request) -> dict[str, tuple[str | None, bytes]]:
    """Return file name and content of each form field; a plain value has no file name."""
    kind, body = request.headers.get("content-type", ""), await request.body()
    head = f"Content-Type: {kind}\r\n\r\n".encode("latin-1", "replace")
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + body)
    found: dict[str, tuple[str | None, bytes]] = {}
    for part in message.iter_parts() if message.is_multipart() else ():
        name = part.get_param("name", header="content-disposition")
        content = part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(content, bytes):
            filename = part.get_filename()
            if filename is not None:
                # The parser left it as bytes.
                filename = filename.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
            found[name] = filename, content
    return found
