"""Assemble the image service; nothing is read from the environment here."""

from fastapi import APIRouter, FastAPI
from starlette.middleware import Middleware
from starlette.responses import Response

from services.mock_comfyui.folders import wipe_temp
from services.mock_comfyui.native import files, prompts, server
from services.mock_comfyui.native.wire import Gate, MalformedBody, on_trouble
from services.mock_comfyui.pictures import ImageMaker
from services.mock_comfyui.prompts.nodes import build_nodes, models_of
from services.mock_comfyui.prompts.validation import NoGraph
from services.mock_comfyui.queue.prompt_queue import PromptQueue
from services.mock_comfyui.queue.run import Saver
from services.mock_comfyui.routes import router
from services.mock_comfyui.settings import ComfyuiConfig, ComfyuiSettings, native_config
from services.mock_core.app import MEBIBYTE, build_app
from services.mock_core.mock import Mock
from services.mock_core.problems import problem_reply
from shared.http.bodies import Limit

DEFAULT_CHECKPOINTS = ("mock.safetensors",)
# The real server takes 100 MiB of either.
_GRAPH, _PICTURE = Limit(2 * MEBIBYTE, values=50_000), Limit(8 * MEBIBYTE, values=None)
_LIMITS = {
    f"{prefix}{path}": limit
    for prefix in ("", "/api")
    for path, limit in (("/prompt", _GRAPH), ("/upload/", _PICTURE))
}


def refuse(
    status: int | None, code: int | str | None, message: str | None, headers: dict[str, str]
) -> Response:
    """Send an injected refusal in the shape of the plain wire; 503 by default."""
    return problem_reply(
        status or 503, code or "injected", detail=message or "refused", headers=headers
    )


def create_app(
    settings: ComfyuiSettings, *, checkpoints: tuple[str, ...] = DEFAULT_CHECKPOINTS
) -> FastAPI:
    """Create the app; `checkpoints` are the models of the native wire."""
    config = ComfyuiConfig(speed=settings.mock_speed, seconds=settings.mock_image_seconds)
    mock = Mock("image", settings, config=config, refusal=refuse)
    maker = ImageMaker(mock.files)
    mock.runner.make = maker.make
    wipe_temp(mock.files)
    models = models_of(checkpoints)
    queue = PromptQueue(mock, Saver(build_nodes(models), mock, maker))
    mock.runner.taker = queue.take
    mock.runner.listen(queue.on_change)
    mock.on_configure.append(lambda: queue.hub.behave(native_config(mock).sockets))
    mock.on_restart.append(queue.restart)
    mock.on_reset.append(queue.forget_all)
    app = build_app(
        mock,
        title="Mock image service",
        description="Each native route answers below `/api`, too, as at the real server.",
        routers=(router, *_native_routers()),
        limits=_LIMITS,
        on_start=(maker.warm_up, queue.open),
        on_stop=(queue.close, maker.close),
    )
    app.state.queue = queue
    app.state.models = models
    # Added last, so that the journal has what it refuses.
    app.user_middleware.append(Middleware(Gate, config=lambda: native_config(mock)))
    for trouble in (MalformedBody, NoGraph):
        app.add_exception_handler(trouble, on_trouble)
    return app


def _native_routers() -> tuple[APIRouter, ...]:
    """Return the routers; each route is also under `/api`, as at the real server."""
    rooms = (prompts, files, server)
    plain, api = APIRouter(), APIRouter(prefix="/api")
    plain.include_router(prompts.jobs_router)
    for router_ in (plain, api):
        for room in rooms:
            router_.include_router(room.router)
    return (files.signed_router, plain, api)
