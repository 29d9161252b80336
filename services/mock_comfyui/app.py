"""Assemble the image service; nothing is read from the environment here."""

from fastapi import APIRouter, FastAPI
from starlette.middleware import Middleware
from starlette.responses import Response

from services.mock_comfyui import native, routes
from services.mock_comfyui.graphs import NoGraph
from services.mock_comfyui.pictures import ImageMaker
from services.mock_comfyui.queue import PromptQueue
from services.mock_comfyui.settings import ComfyuiConfig, ComfyuiSettings, native_config
from services.mock_core.app import MEBIBYTE, build_app
from services.mock_core.mock import Mock
from services.mock_core.problems import problem_reply
from shared.http.bodies import Limit

# The real server takes 100 MiB.
_GRAPH = Limit(2 * MEBIBYTE, values=50_000)


def refuse(
    status: int | None, code: int | str | None, message: str | None, headers: dict[str, str]
) -> Response:
    """Send an injected refusal in the shape of the plain wire; 503 by default."""
    return problem_reply(
        status or 503, code or "injected", detail=message or "refused", headers=headers
    )


def create_app(settings: ComfyuiSettings) -> FastAPI:
    config = ComfyuiConfig(speed=settings.mock_speed, seconds=settings.mock_image_seconds)
    mock = Mock("image", settings, config=config, refusal=refuse)
    maker = ImageMaker(mock.files)
    mock.runner.make = maker.make
    queue = PromptQueue(mock, maker)
    mock.runner.taker = queue.take
    mock.runner.listen(queue.on_change)
    mock.on_restart.append(queue.restart)
    mock.on_reset.append(queue.forget_all)
    # Each native route is also under `/api`, as at the real server.
    api = APIRouter(prefix="/api")
    api.include_router(native.router)
    app = build_app(
        mock,
        title="Mock image service",
        description="Each native route answers below `/api`, too, as at the real server.",
        routers=(routes.router, native.jobs_router, native.router, api),
        limits={"/prompt": _GRAPH, "/api/prompt": _GRAPH},
        on_start=(maker.warm_up, queue.open),
        on_stop=(queue.close, maker.close),
    )
    app.state.queue = queue
    # Added last, so that the journal has what it refuses.
    app.user_middleware.append(Middleware(native.Gate, config=lambda: native_config(mock)))
    for trouble in (native.MalformedBody, NoGraph):
        app.add_exception_handler(trouble, native.on_trouble)
    return app
