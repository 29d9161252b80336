"""Puts the image service together; nothing is read from the environment here."""

from fastapi import APIRouter, FastAPI
from starlette.responses import Response

from services.mock_comfyui.config import initial_config
from services.mock_comfyui.native import prompt, results, server
from services.mock_comfyui.native.wire import MalformedBody, on_malformed
from services.mock_comfyui.pictures.maker import ImageMaker
from services.mock_comfyui.queue.prompt_queue import PromptQueue
from services.mock_comfyui.routes import router
from services.mock_comfyui.settings import ComfyuiSettings
from services.mock_core.app import build_app
from services.mock_core.faults.kinds import Where
from services.mock_core.http.problems import Problem, problem_response
from services.mock_core.ledger.files import FileStore
from services.mock_core.mock import build_mock, disk_of

DEFAULT_CHECKPOINTS = ("mock.safetensors",)
_POINTS = frozenset(set(Where) - {Where.CALLBACK})
_MEGABYTE = 1_000_000


def refuse(
    status: int | None, code: int | str | None, message: str | None, headers: dict[str, str]
) -> Response:
    """An injected refusal in the shape of the plain wire; 503 unless told otherwise."""
    problem = Problem(
        status or 503, code or "injected", detail=message or "refused", headers=headers
    )
    return problem_response(problem)


def create_app(
    settings: ComfyuiSettings, *, checkpoints: tuple[str, ...] = DEFAULT_CHECKPOINTS
) -> FastAPI:
    """`checkpoints` are the models that the native wire says there are."""
    disk = disk_of(settings, "image")
    files = FileStore(settings.mock_file_megabytes * _MEGABYTE, disk)
    maker = ImageMaker(files)
    mock = build_mock(
        "image",
        settings,
        config=initial_config(settings),
        points=_POINTS,
        make=maker.make,
        refusal=refuse,
        files=files,
        disk=disk,
        at_once=settings.comfyui_workers,
    )
    queue = PromptQueue(mock.clock, checkpoints=checkpoints)
    maker.now, maker.nodes = mock.clock.now, queue.nodes
    mock.runner.listen(queue.on_change)
    mock.on_restart.append(queue.restart)
    mock.on_reset.append(queue.forget_all)
    app = build_app(
        mock,
        title="Mock image service",
        routers=(router, *_native_routers()),
        on_start=(maker.warm_up,),
        on_stop=(queue.close, maker.close),
    )
    app.state.queue = queue
    app.add_exception_handler(MalformedBody, on_malformed)
    return app


def _native_routers() -> tuple[APIRouter, ...]:
    """Each route is also under `/api`, as at the real server."""
    twice = (prompt.router, results.router, server.router)
    api = APIRouter(prefix="/api")
    for each in twice:
        api.include_router(each)
    return (results.jobs_router, *twice, api)
