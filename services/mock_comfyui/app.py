"""Puts the image service together; nothing is read from the environment here."""

from fastapi import FastAPI
from starlette.responses import Response

from services.mock_comfyui.images import ImageMaker
from services.mock_comfyui.routes import router
from services.mock_comfyui.settings import ComfyuiSettings
from services.mock_core.app import build_app
from services.mock_core.faults.kinds import Where
from services.mock_core.files import FileStore
from services.mock_core.knobs import Knobs
from services.mock_core.mock import build_mock
from services.mock_core.problems import Problem, problem_response

_PLACES = frozenset(set(Where) - {Where.CALLBACK})
_MEGABYTE = 1_000_000


def refuse(
    status: int | None, code: int | str | None, message: str | None, headers: dict[str, str]
) -> Response:
    """An injected refusal in the shape of the plain wire; 503 unless told otherwise."""
    problem = Problem(
        status or 503, code or "injected", detail=message or "refused", headers=headers
    )
    return problem_response(problem)


def create_app(settings: ComfyuiSettings) -> FastAPI:
    files = FileStore(settings.mock_file_megabytes * _MEGABYTE)
    maker = ImageMaker(files)
    knobs = Knobs(
        speed=settings.mock_speed,
        seconds=settings.mock_image_seconds,
        result_days=settings.mock_result_days,
    )
    mock = build_mock(
        "image",
        settings,
        knobs=knobs,
        places=_PLACES,
        make=maker.make,
        refusal=refuse,
        files=files,
        at_once=settings.comfyui_workers,
    )
    maker.now = mock.clock.now
    return build_app(
        mock,
        title="Mock image service",
        routers=(router,),
        on_start=(maker.warm_up,),
        on_stop=(maker.close,),
    )
