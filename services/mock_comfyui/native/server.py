"""The native wire's rest: uploads, the server's own state."""

import email.parser
import email.policy
import re
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from services.mock_comfyui.config import native_config
from services.mock_comfyui.folders.folders import key_of
from services.mock_comfyui.native.wire import RESPONSES, NativeJson, TheQueue, read_body
from services.mock_core.mock import TheMock

router = APIRouter(tags=["native"])
_SAFE = re.compile(r"[\w.\- ()]{1,200}")
_BAD_NAME = {"description": "No picture, or a name that leads elsewhere"}
_UPLOAD = {
    "requestBody": {
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {"image": {"type": "string", "format": "binary"}},
                }
            }
        }
    }
}


@router.post("/upload/image", openapi_extra=_UPLOAD, responses={**RESPONSES, 400: _BAD_NAME})
async def upload(request: Request, queue: TheQueue) -> Response:
    """Keep a picture in the input folder."""
    kind = request.headers.get("content-type", "")
    parts = _parts(kind, await read_body(request))
    name, body = parts.get("image", ("", b""))
    if not _SAFE.fullmatch(name) or ".." in name:
        return Response(status_code=400)
    subfolder = parts.get("subfolder", ("", b""))[1].decode("utf-8", "replace")[:200].strip("/")
    if ".." in subfolder:
        return Response(status_code=400)
    queue.saver.folders.put(key_of(name, subfolder, "input"), body, "image/png")
    return NativeJson({"name": name, "subfolder": subfolder, "type": "input"})


def _parts(kind: str, body: bytes) -> dict[str, tuple[str, bytes]]:
    """Form fields by name: file name and content."""
    head = f"Content-Type: {kind}\r\n\r\n".encode("latin-1", "replace")
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + body)
    if not message.is_multipart():
        return {}
    found: dict[str, tuple[str, bytes]] = {}
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        content = part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(content, bytes):
            found[name] = (part.get_filename("") or "", content)
    return found


@router.get("/system_stats")
async def system_stats(mock: TheMock) -> dict[str, Any]:
    """What kind of server this is: a stand-in, and says so."""
    return {
        "system": {
            "os": "posix",
            "ram_total": 0,
            "ram_free": 0,
            "comfyui_version": native_config(mock).version,
            "python_version": "mock",
            "pytorch_version": "mock",
            "embedded_python": False,
            "argv": ["main.py"],
        },
        "devices": [
            {
                "name": "cpu",
                "type": "cpu",
                "index": None,
                "vram_total": 0,
                "vram_free": 0,
                "torch_vram_total": 0,
                "torch_vram_free": 0,
            }
        ],
    }
