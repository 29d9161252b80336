"""The way to the ComfyUI of the settings: every call has the headers that let us in."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from pydantic import SecretStr
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from services.worker.settings.worker import WorkerSettings
from services.worker.vendors.chosen import chosen_images
from services.worker.vendors.comfyui.images import ComfyuiImages
from services.worker.vendors.service import ImageService
from services.worker.vendors.vendor import ImageVendor
from shared.errors import RefusedForGood
from tests.services.mock_core.serving import Json, served
from tests.services.worker.graphs.examples import WITH_MODEL
from tests.services.worker.vendors.comfyui.bodies import OURS


class Guarded:
    """Answers who has the key, and remembers what it was sent."""

    def __init__(self, job: Json | None = None) -> None:
        self.headers: list[Json] = []
        self._job = job

    async def __call__(self, scope: Json, receive: object, send: object) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope)
        self.headers.append(dict(request.headers))
        answer: Response = Response(status_code=401)
        if "x-api-key" in request.headers or "authorization" in request.headers:
            unknown = JSONResponse({"error": "Job not found"}, status_code=404)
            answer = unknown if self._job is None else JSONResponse(self._job)
        await answer(scope, receive, send)  # type: ignore[arg-type]


@asynccontextmanager
async def reached(
    guarded: Guarded, headers: str = "", *, password: str = ""
) -> AsyncIterator[ImageVendor]:
    async with served(guarded) as base:
        settings = WorkerSettings.model_validate(
            {
                "callback_secret": SecretStr("x" * 32),
                "image_service_url": base.replace("//", f"//{password}"),
                "image_api": "comfyui",
                "comfyui_workflow": WITH_MODEL,
                "comfyui_headers": headers or None,
            }
        )
        async with chosen_images(settings) as images:
            yield images


async def test_without_the_headers_it_does_not_let_us_in() -> None:
    async with reached(Guarded()) as images:
        with pytest.raises(RefusedForGood, match="COMFYUI_HEADERS"):
            await images.status(OURS)


async def test_with_them_it_does_and_the_result_needs_them_too() -> None:
    guarded = Guarded()
    async with reached(guarded, "X-API-Key: k") as images:
        assert await images.status(OURS) is None
        assert images.credentials() == {"X-API-Key": "k"}
    assert len(guarded.headers) == 2
    assert all(each["x-api-key"] == "k" for each in guarded.headers)
    assert all("origin" not in each for each in guarded.headers)


async def test_a_password_of_the_address_is_one_of_them() -> None:
    guarded = Guarded()
    async with reached(guarded, password="us:pass@") as images:
        assert await images.status(OURS) is None
        assert images.credentials() == {"Authorization": "Basic dXM6cGFzcw=="}
    assert guarded.headers[0]["authorization"] == "Basic dXM6cGFzcw=="


@pytest.mark.parametrize("name", ["Authorization", "authorization"])
async def test_a_header_of_that_name_is_sent_alone(name: str) -> None:
    guarded = Guarded()
    async with reached(guarded, f"{name}: Bearer k", password="us:pass@") as images:
        assert await images.status(OURS) is None
        assert images.credentials() == {name: "Bearer k"}
    assert guarded.headers[0]["authorization"] == "Bearer k"


async def test_nothing_goes_on_listening_behind_it() -> None:
    before = asyncio.all_tasks()
    async with reached(Guarded({"status": "in_progress"}), "X-API-Key: k") as images:
        assert await images.status(OURS) is not None
        assert any(map(listens, asyncio.all_tasks() - before))
    assert not any(map(listens, asyncio.all_tasks() - before))


def listens(task: asyncio.Task[object]) -> bool:
    return "_listen" in repr(task.get_coro())


async def test_which_one_is_asked_is_a_setting() -> None:
    async with reached(Guarded()) as images:
        assert isinstance(images, ComfyuiImages)
    plain = WorkerSettings.model_validate({"callback_secret": SecretStr("x" * 32)})
    async with chosen_images(plain) as images:
        assert isinstance(images, ImageService)
