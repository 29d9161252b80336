"""The native wire: the files of the output, temp and input folders."""

import email.parser
import email.policy
import hashlib
import hmac
import posixpath
import secrets
import time
from dataclasses import dataclass
from mimetypes import guess_type
from typing import Annotated
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Header, Query, Request
from starlette.responses import Response

from services.mock_comfyui.folders import FOLDERS, Folders, key_of
from services.mock_comfyui.native.wire import MalformedBody, NativeJson, TheQueue
from services.mock_comfyui.settings import native_config
from services.mock_core.calls import base_url
from services.mock_core.mock import TheMock
from services.mock_core.served import serve_file

signed_router = APIRouter(include_in_schema=False)
_SECRET = secrets.token_bytes(32)
_SECONDS = 300


def signed_address(base: str, key: str) -> str:
    """Return an address of this file that is valid for some minutes."""
    expires = str(int(time.time()) + _SECONDS)
    query = urlencode({"expires": expires, "signature": _signature(key, expires)})
    return f"{base}/signed/{quote(key, safe='')}?{query}"


@signed_router.get("/signed/{key:path}")
async def signed_file(
    request: Request, mock: TheMock, key: str, expires: str = "", signature: str = ""
) -> Response:
    """Serve the file; refuse a request with the other server's keys, as storage services do."""
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
    queue: TheQueue,
    filename: str | None = None,
    subfolder: str = "",
    folder: Annotated[str, Query(alias="type")] = "output",
    range_: Annotated[str | None, Header(alias="Range")] = None,
) -> Response:
    """Serve a file as far as it is written; it outlives the history."""
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
    reply = await serve_file(mock, key, range_header=range_)
    if reply.status_code in (200, 206):
        _name(reply, posixpath.basename(filename))
    return reply


def _name(reply: Response, filename: str) -> None:
    """Return the media type; types that a browser would run are replaced."""
    kind = reply.headers["content-type"].partition(";")[0]
    if kind in _HARMFUL:
        reply.headers["Content-Type"] = "application/octet-stream"
    attached = "attachment; " if kind in _HARMFUL else ""
    name = quote(filename, safe=" !#$&'()+,-.;=@[]^_`{}~")
    reply.headers["Content-Disposition"] = f'{attached}filename="{name}"'
    reply.headers["X-Content-Type-Options"] = "nosniff"


_LONGEST = 255


class Refused(Exception):
    """400 without a body."""


@dataclass(slots=True)
class _Part:
    """A form field; `filename` is None if it is no file."""

    filename: str | None
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")


@router.post("/upload/image")
async def upload(request: Request, queue: TheQueue) -> Response:
    """Store a picture; the same name with other bytes gets a number, unless it is to replace."""
    parts = await _parts(request)
    return _kept(queue.saver.folders, parts, parts.get("image"))


def _kept(folders: Folders, parts: dict[str, _Part], part: _Part | None) -> Response:
    try:
        name, subfolder, folder = _destination(parts, part)
    except Refused:
        return Response(status_code=400)
    body = part.body if part is not None else b""
    replaces = "overwrite" in parts and parts["overwrite"].text in ("true", "1")
    inside = posixpath.normpath(subfolder) if subfolder else ""
    stem, ending = posixpath.splitext(name)
    number = 0
    while not replaces and (old := folders.get(key_of(name, inside, folder))) is not None:
        if old.body == body:
            break
        number += 1
        name = f"{stem} ({number}){ending}"
    kind = guess_type(name)[0] or "application/octet-stream"
    folders.put(key_of(name, inside, folder), body, kind)
    return NativeJson({"name": name, "subfolder": subfolder, "type": folder})


def _destination(parts: dict[str, _Part], part: _Part | None) -> tuple[str, str, str]:
    """Return name, subfolder and folder; raise Refused, or MalformedBody if the server stumbles."""
    if part is None:
        raise Refused
    folder = parts["type"].text if "type" in parts else "input"
    if part.filename is None or folder not in FOLDERS:
        raise MalformedBody
    subfolder = parts["subfolder"].text if "subfolder" in parts else ""
    path = posixpath.normpath(posixpath.join("/", subfolder, part.filename))
    inside = posixpath.normpath(posixpath.join(subfolder, part.filename))
    if subfolder.startswith("/") or inside.startswith(("/", "..")):
        raise Refused
    name = part.filename
    if name in ("", ".") or "/" in name or len(posixpath.basename(path).encode()) > _LONGEST:
        raise MalformedBody
    return name, subfolder, folder


async def _parts(request: Request) -> dict[str, _Part]:
    """Return form fields by name."""
    kind, body = request.headers.get("content-type", ""), await request.body()
    head = f"Content-Type: {kind}\r\n\r\n".encode("latin-1", "replace")
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + body)
    found: dict[str, _Part] = {}
    for part in message.iter_parts() if message.is_multipart() else ():
        name = part.get_param("name", header="content-disposition")
        content = part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(content, bytes):
            filename = part.get_param("filename", header="content-disposition")
            found[name] = _Part(_readable(filename), content)
    return found


def _readable(filename: object) -> str | None:
    """Decode a name that the form parser left as bytes."""
    if isinstance(filename, tuple):
        filename = filename[2]
    if not isinstance(filename, str):
        return None
    return filename.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
