"""The native wire's rest: the server's own state, and its memory."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from services.mock_comfyui.config import native_config
from services.mock_comfyui.native.wire import (
    RESPONSES,
    NativeJson,
    TheQueue,
    json_body,
    read_json,
)
from services.mock_core.mock import TheMock

router = APIRouter(tags=["native"])
_GIGABYTE = 1_000_000_000


@router.post(
    "/free",
    openapi_extra=json_body(
        "What to free", unload_models={"type": "boolean"}, free_memory={"type": "boolean"}
    ),
    response_class=Response,
    responses=RESPONSES,
)
async def free(request: Request, queue: TheQueue) -> Response:
    """Forget models, and with `free_memory` all cached results."""
    if (await read_json(request)).get("free_memory"):
        queue.cache.clear()
    return Response()


@router.get("/system_stats")
async def system_stats(mock: TheMock) -> Response:
    """What kind of server this is: a stand-in, and says so."""
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
    device = {
        "name": "cpu",
        "type": "cpu",
        "index": None,
        "vram_total": 16 * _GIGABYTE,
        "vram_free": 8 * _GIGABYTE,
        "torch_vram_total": 16 * _GIGABYTE,
        "torch_vram_free": 8 * _GIGABYTE,
    }
    return NativeJson({"system": system, "devices": [device]})
