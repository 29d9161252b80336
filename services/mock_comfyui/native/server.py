"""The native wire's rest: event socket, uploads, the server's own state."""

import contextlib
import email.parser
import email.policy
import json
import re
import uuid
from typing import Any

import anyio
from fastapi import APIRouter, Request, WebSocket, WebSocketDisconnect
from starlette.responses import JSONResponse, Response

from services.mock_comfyui.native.wire import RESPONSES, TheQueue, read_body
from services.mock_comfyui.prompts.task import file_key
from services.mock_comfyui.queue.sockets import Listener, encode
from services.mock_core.ledger.files import StoredFile
from services.mock_core.mock import TheMock

router = APIRouter(tags=["native"])
_FEATURES = {"supports_preview_metadata": True, "max_upload_size": 104857600}
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


@router.websocket("/ws")
async def events(socket: WebSocket) -> None:
    """Events from now on; what was missed is never sent again."""
    queue = socket.app.state.queue
    await socket.accept()
    client_id = socket.query_params.get("clientId") or uuid.uuid4().hex
    listener = Listener(socket)
    # Nothing is waited for until the node is told: no event comes before it, none goes missing.
    queue.hub.add(client_id, listener)
    listener.put(encode("status", {"status": queue.status(), "sid": client_id}))
    node = queue.current_node(client_id)
    if node is not None:
        listener.put(encode("executing", {"node": node}))
    try:
        async with anyio.create_task_group() as group:
            group.start_soon(_listen, socket, listener)
            await listener.send_all()
            group.cancel_scope.cancel()
    finally:
        queue.hub.remove(client_id, listener)


async def _listen(socket: WebSocket, listener: Listener) -> None:
    with contextlib.suppress(WebSocketDisconnect, RuntimeError, KeyError):
        while True:
            with contextlib.suppress(ValueError):
                said = json.loads(await socket.receive_text())
                if isinstance(said, dict) and said.get("type") == "feature_flags":
                    listener.put(encode("feature_flags", dict(_FEATURES)))
    listener.drop()


@router.post("/upload/image", openapi_extra=_UPLOAD, responses={**RESPONSES, 400: _BAD_NAME})
async def upload(request: Request, mock: TheMock) -> Response:
    """Keep a picture in the input folder."""
    kind = request.headers.get("content-type", "")
    parts = _parts(kind, await read_body(request))
    name, body = parts.get("image", ("", b""))
    if not _SAFE.fullmatch(name) or ".." in name:
        return Response(status_code=400)
    subfolder = parts.get("subfolder", ("", b""))[1].decode("utf-8", "replace")[:200].strip("/")
    if ".." in subfolder:
        return Response(status_code=400)
    file = StoredFile(body, "image/png", mock.clock.now())
    mock.files.put(file_key(name, subfolder, "input"), file)
    return JSONResponse({"name": name, "subfolder": subfolder, "type": "input"})


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
async def system_stats(queue: TheQueue) -> dict[str, Any]:
    """What kind of server this is: a stand-in, and says so."""
    return {
        "system": {
            "os": "posix",
            "ram_total": 0,
            "ram_free": 0,
            "comfyui_version": "0.28.0",
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
