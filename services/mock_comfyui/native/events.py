"""The native wire's event socket: what happens from now on; what was missed is never sent again."""

import contextlib
import json
import uuid
from typing import Any

import anyio
from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from services.mock_comfyui.config import native_config
from services.mock_comfyui.queue.sockets import Listener, encode

router = APIRouter(tags=["native"])
MAX_UPLOAD = 104857600
FEATURES = {
    "supports_preview_metadata": True,
    "supports_model_type_tags": True,
    "max_upload_size": MAX_UPLOAD,
    "extension": {"manager": {"supports_v4": True}},
    "node_replacements": True,
    "assets": False,
}
_OLD = ("supports_preview_metadata", "max_upload_size")


def features_of(*, is_old: bool) -> dict[str, Any]:
    """What the server can do, as it tells those who ask."""
    return {name: FEATURES[name] for name in FEATURES if name in _OLD or not is_old}


@router.websocket("/ws")
async def events(socket: WebSocket) -> None:
    """Open until the client goes or the server restarts, even where another has its place."""
    queue = socket.app.state.queue
    old = native_config(socket.app.state.mock).is_old
    await socket.accept()
    client_id = socket.query_params.get("clientId") or uuid.uuid4().hex
    listener = Listener(socket)
    # Nothing is waited for in between: no event comes before the greeting, none goes missing.
    queue.hub.add(client_id, listener)
    await listener.send(encode("status", {"status": queue.status(), "sid": client_id}))
    node = queue.current_node(client_id)
    if node is not None:
        await listener.send(encode("executing", {"node": node}))
    try:
        async with anyio.create_task_group() as group:
            group.start_soon(_listen, socket, listener, features_of(is_old=old))
            await listener.dropped.wait()
            group.cancel_scope.cancel()
    finally:
        queue.hub.remove(client_id, listener)
    await listener.close()


async def _listen(socket: WebSocket, listener: Listener, features: dict[str, Any]) -> None:
    """Flags count in the first message alone; what is no JSON is no message."""
    first = True
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):
        while (message := await socket.receive())["type"] == "websocket.receive":
            said = _read(message.get("text"))
            if not isinstance(said, dict):
                continue
            if first and said.get("type") == "feature_flags":
                flags = said.get("data")
                wanted = flags.get("supports_preview_metadata") if isinstance(flags, dict) else None
                listener.wants_metadata = bool(wanted)
                await listener.send(encode("feature_flags", features))
            first = False
    listener.dropped.set()


def _read(text: str | None) -> object:
    try:
        return json.loads(text or "")
    except ValueError:
        return None
