"""The rest of the native wire: the event socket, node types and models, the server's state."""

import contextlib
import uuid
from typing import Any

import anyio
from fastapi import APIRouter, Request, WebSocket, WebSocketDisconnect
from starlette.responses import Response

from services.mock_comfyui.folders import pictures
from services.mock_comfyui.native.wire import NativeJson, TheQueue, read_json
from services.mock_comfyui.prompts.nodes import MODEL_FOLDERS, entry_of
from services.mock_comfyui.queue.events import Listener, encode
from services.mock_comfyui.settings import native_config
from services.mock_core.mock import TheMock

router = APIRouter(include_in_schema=False)
_GIGABYTE = 1_000_000_000
# Lists that are the same at any time.
_LISTS: dict[str, Any] = {
    "/models": list(MODEL_FOLDERS),
    "/embeddings": [],
    "/extensions": [f"/extensions/core/{name}.js" for name in ("groupNode", "widgetInputs")],
    "/features": {
        "supports_preview_metadata": True,
        "supports_model_type_tags": True,
        "max_upload_size": 104857600,
        "extension": {"manager": {"supports_v4": True}},
        "node_replacements": True,
        "assets": False,
    },
    "/users": {"storage": "server", "migrated": False},
    "/settings": {},
}


@router.websocket("/ws")
async def events(socket: WebSocket) -> None:
    """Stay open until the client leaves or the server restarts, even if another socket replaces
    this one."""
    queue = socket.app.state.queue
    await socket.accept()
    client_id = socket.query_params.get("clientId") or uuid.uuid4().hex
    listener = Listener(socket)
    # No await in between: no event comes before the greeting, and none is lost.
    queue.hub.add(client_id, listener)
    await listener.send(encode("status", {"status": queue.status(), "sid": client_id}))
    running = queue.running
    if running is not None and running.client_id == client_id and running.current is not None:
        await listener.send(encode("executing", {"node": running.current}))

    async def listen() -> None:
        """Read and ignore the client's messages; end the socket when it leaves."""
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):
            while (await socket.receive())["type"] == "websocket.receive":
                pass
        listener.dropped.set()

    try:
        async with anyio.create_task_group() as group:
            group.start_soon(listen)
            await listener.dropped.wait()
            group.cancel_scope.cancel()
    finally:
        queue.hub.remove(client_id, listener)
    await listener.close()


@router.get("/object_info")
async def object_info(mock: TheMock, queue: TheQueue) -> Response:
    """Every node type with its inputs, and the files that they accept."""
    known = pictures(mock.files)
    return NativeJson({name: entry_of(node, known) for name, node in queue.nodes.items()})


@router.get("/object_info/{name}")
async def object_info_of(mock: TheMock, queue: TheQueue, name: str) -> Response:
    """One node type; `{}` for an unknown one."""
    node = queue.nodes.get(name)
    return NativeJson({} if node is None else {name: entry_of(node, pictures(mock.files))})


@router.get("/models/{folder}")
async def models(request: Request, folder: str) -> Response:
    """The files of one folder."""
    found = request.app.state.models.get(folder)
    return Response(status_code=404) if found is None else NativeJson(found)


async def fixed_list(request: Request) -> Response:
    """One of the lists that never change, by path."""
    return NativeJson(_LISTS[request.url.path.removeprefix("/api")])


for _path in _LISTS:
    router.add_api_route(_path, fixed_list)


@router.post("/free")
async def free(request: Request, queue: TheQueue) -> Response:
    """Forget models, and with `free_memory` all cached results."""
    if (await read_json(request)).get("free_memory"):
        queue.cache.clear()
    return Response()


@router.get("/system_stats")
async def system_stats(mock: TheMock) -> Response:
    """The server's system, which names itself a mock."""
    system: dict[str, Any] = {
        "os": "linux",
        "ram_total": 16 * _GIGABYTE,
        "ram_free": 8 * _GIGABYTE,
        "comfyui_version": native_config(mock).version,
        "required_frontend_version": "1.45.21",
        "installed_templates_version": "0.11.9",
        "required_templates_version": "0.11.9",
        "python_version": "mock",
        "pytorch_version": "mock",
        "embedded_python": False,
        "argv": ["main.py"],
    }
    memory = {"total": 16 * _GIGABYTE, "free": 8 * _GIGABYTE}
    device: dict[str, Any] = {"name": "cpu", "type": "cpu", "index": None}
    for kind in ("vram", "torch_vram"):
        device |= {f"{kind}_{name}": size for name, size in memory.items()}
    return NativeJson({"system": system, "devices": [device]})
