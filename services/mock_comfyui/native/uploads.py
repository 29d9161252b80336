"""The native wire: pictures that are sent to the input folder."""

import email.parser
import email.policy
import io
import json
import posixpath
from dataclasses import dataclass
from mimetypes import guess_type

from fastapi import APIRouter, Request
from PIL import Image
from starlette.responses import Response

from services.mock_comfyui.folders.folders import FOLDERS, Folders, key_of
from services.mock_comfyui.native.wire import (
    RESPONSES,
    MalformedBody,
    NativeJson,
    TheQueue,
)

router = APIRouter(tags=["native"])
_LONGEST = 255
_BAD_NAME = {"description": "No picture, or a name that leads elsewhere"}


def _form(**texts: str) -> dict[str, object]:
    properties = {
        "image": {"type": "string", "format": "binary"},
        **{name: {"type": "string", "description": said} for name, said in texts.items()},
    }
    schema = {"type": "object", "properties": properties}
    return {"requestBody": {"content": {"multipart/form-data": {"schema": schema}}}}


_UPLOAD = _form(overwrite="true: in the place of one of this name", subfolder="", type="")
_MASK = _form(original_ref="JSON of the picture that the mask belongs to", subfolder="", type="")


class Refused(Exception):
    """400 without a body."""


@dataclass(slots=True)
class _Part:
    """A form field; `filename` is None for one that is no file."""

    filename: str | None
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")


@router.post("/upload/image", openapi_extra=_UPLOAD, responses={**RESPONSES, 400: _BAD_NAME})
async def upload(request: Request, queue: TheQueue) -> Response:
    """Keep a picture; the same name with other bytes gets a number, unless it is to replace."""
    parts = await _parts(request)
    return _kept(queue.saver.folders, parts, parts.get("image"))


@router.post("/upload/mask", openapi_extra=_MASK, responses={**RESPONSES, 400: _BAD_NAME})
async def upload_mask(request: Request, queue: TheQueue) -> Response:
    """Keep a picture that is there already with the alpha channel of this one."""
    parts, folders = await _parts(request), queue.saver.folders
    try:
        original = json.loads(parts["original_ref"].text)
        name, subfolder = str(original["filename"]), str(original.get("subfolder", ""))
        folder = str(original.get("type", "output"))
    except (KeyError, TypeError, ValueError) as error:
        raise MalformedBody from error
    file = folders.get(key_of(name, subfolder, folder))
    part = parts.get("image")
    if file is None or part is None:
        # The server answers as if it had kept it.
        return _kept(folders, parts, part, keep=False)
    return _kept(folders, parts, _Part(part.filename, _masked(file.body, part.body)))


def _kept(
    folders: Folders, parts: dict[str, _Part], part: _Part | None, *, keep: bool = True
) -> Response:
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
    if keep:
        kind = guess_type(name)[0] or "application/octet-stream"
        folders.put(key_of(name, inside, folder), body, kind)
    return NativeJson({"name": name, "subfolder": subfolder, "type": folder})


def _destination(parts: dict[str, _Part], part: _Part | None) -> tuple[str, str, str]:
    """Name, subfolder and folder; Refused, or MalformedBody where the server stumbles."""
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


def _masked(original: bytes, mask: bytes) -> bytes:
    try:
        picture = Image.open(io.BytesIO(original)).convert("RGBA")
        alpha = Image.open(io.BytesIO(mask)).convert("RGBA").getchannel("A")
        picture.putalpha(alpha.resize(picture.size))
    except (OSError, ValueError, SyntaxError) as error:
        raise MalformedBody from error
    out = io.BytesIO()
    picture.save(out, "PNG", compress_level=4)
    return out.getvalue()


async def _parts(request: Request) -> dict[str, _Part]:
    """Form fields by name."""
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
    """A name, of which a parser of mails may have left bytes as they came."""
    if isinstance(filename, tuple):
        filename = filename[2]
    if not isinstance(filename, str):
        return None
    return filename.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
