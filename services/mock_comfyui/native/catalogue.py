"""The native wire: what the server has: node types, models, features, users."""

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from services.mock_comfyui.config import native_config
from services.mock_comfyui.native.events import features_of
from services.mock_comfyui.native.wire import NativeJson, TheQueue
from services.mock_comfyui.prompts.nodes import MODEL_FOLDERS, told_entry
from services.mock_core.mock import TheMock
from services.mock_core.problems import Responses

router = APIRouter(tags=["native"])
_UNKNOWN: Responses = {404: {"description": "There is no such folder, or no such file"}}
_EXTENSIONS = [f"/extensions/core/{name}.js" for name in ("groupNode", "widgetInputs")]
_PAGE = "<!doctype html><title>ComfyUI</title><p>A stand-in of the server, which has no editor."


@router.get("/object_info")
async def object_info(queue: TheQueue) -> Response:
    """Every node type with its inputs, and the files that these may be."""
    pictures = queue.saver.folders.pictures()
    return NativeJson({name: told_entry(node, pictures) for name, node in queue.nodes.items()})


@router.get("/object_info/{name}")
async def object_info_of(queue: TheQueue, name: str) -> Response:
    """One node type; `{}` for one that isn't known."""
    node = queue.nodes.get(name)
    pictures = queue.saver.folders.pictures()
    return NativeJson({} if node is None else {name: told_entry(node, pictures)})


@router.get("/models")
async def model_folders() -> Response:
    return NativeJson(list(MODEL_FOLDERS))


@router.get("/models/{folder}", responses=_UNKNOWN)
async def models(request: Request, folder: str) -> Response:
    """The files of one folder."""
    found = request.app.state.models.get(folder)
    return Response(status_code=404) if found is None else NativeJson(found)


@router.get("/view_metadata/{folder}", responses=_UNKNOWN)
async def view_metadata(request: Request, folder: str, filename: str = "") -> Response:
    """What a model's file says of itself: nothing, for it is a stand-in."""
    found = filename in request.app.state.models.get(folder, [])
    return NativeJson({}) if found else Response(status_code=404)


@router.get("/embeddings")
async def embeddings() -> Response:
    return NativeJson([])


@router.get("/extensions")
async def extensions() -> Response:
    return NativeJson(_EXTENSIONS)


@router.get("/features")
async def features(mock: TheMock) -> Response:
    """What the server can do, as told on the socket to who asks."""
    return NativeJson(features_of(is_old=native_config(mock).is_old))


@router.get("/users")
async def users() -> Response:
    return NativeJson({"storage": "server", "migrated": False})


@router.get("/settings")
async def settings() -> Response:
    return NativeJson({})


@router.get("/", response_class=HTMLResponse)
async def page() -> Response:
    """Where the real server has its editor."""
    return HTMLResponse(_PAGE, headers={"Cache-Control": "no-store, must-revalidate"})
