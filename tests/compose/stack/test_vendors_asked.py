"""The worker's doctor itself, under the stack's settings, before services that are not as they
should be: one clear line each, and nothing is ever submitted."""

import asyncio
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from compose.stack import checks
from compose.stack.checks import Start
from compose.stack.environment import check_services, environment_of
from compose.stack.output import StackError
from compose.stack.services import Service as Part
from compose.stack.settings import Settings
from compose.stack.subprocesses import Outcome, capture
from services.mock_kling.settings import DEFAULT_API_KEY
from tests.compose.stack.conftest import ROOT, Fake, Load
from tests.services.mock_core.serving import Service, served
from tests.services.worker.graphs.examples import WITH_MODEL, WITHOUT_MODELS, example
from tests.services.worker.vendors.comfyui.bodies import KINDS

COMFYUI = {"IMAGE_API": "comfyui", "COMFYUI_WORKFLOW": str(WITHOUT_MODELS)}
KLING = {"VIDEO_API": "kling", "KLING_API_KEY": DEFAULT_API_KEY}
Given = dict[str, str]


@pytest.fixture
def here(image_mock: Service, video_mock: Service) -> Given:
    """Real services, which are mocks that are not the stack's own."""
    return {
        "MOCKS": "off",
        "COMFYUI_URL": str(image_mock.http.base_url),
        "KLING_URL": str(video_mock.http.base_url),
    }


class Asked(Fake):
    """Runs a service's programs with the environment that it would get."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._settings = settings

    def ask(self, service: Part, *program: str, timeout: float) -> Outcome:
        path = {"PYTHONPATH": str(ROOT), "PATH": os.defpath}
        command = [sys.executable, "-P", "-m", *program]
        cwd = self._settings.root
        return capture(
            command, environment_of(self._settings, service) | path, timeout=timeout, cwd=cwd
        )


def look(settings: Settings) -> None:
    """As `make up` does."""
    start = Start(settings, Asked(settings), [], containers=False)
    checks.refuse(checks.vendors(start), "nothing was started or changed")


async def refused(settings: Settings, check: Callable[[Settings], None] = look) -> str:
    """The line with which the start ends before anything is started."""
    with pytest.raises(StackError) as caught:
        await asyncio.to_thread(check, settings)
    line = str(caught.value)
    assert "\n" not in line
    return line


async def nothing_was_submitted(*mocks: Service) -> None:
    for mock in mocks:
        assert await mock.json("/admin/ledger") == []


async def arrange(mock: Service, **config: Any) -> None:
    answer = await mock.http.put("/admin/config", json=config)
    assert answer.status_code == 200, answer.text


async def test_all_is_well_with_both_wires(
    settings: Load, here: Given, image_mock: Service, video_mock: Service
) -> None:
    for more in ({}, COMFYUI | KLING):
        found = settings(**here, **more)
        await asyncio.to_thread(look, found)
    await nothing_was_submitted(image_mock, video_mock)


def ui_format(nodes: Any) -> Any:
    return {
        "nodes": [{"id": 1, "type": kind["class_type"]} for kind in nodes.values()],
        "links": [],
    }


def without_marks(nodes: Any) -> Any:
    """Two samplers, so that nothing is plain, and no titles."""
    return example(titles=False, n33=nodes["3"], n66=nodes["6"]) | {
        "33": {**nodes["3"], "_meta": {}, "inputs": {**nodes["3"]["inputs"], "positive": ["66", 0]}}
    }


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (ui_format, "it is in the editor's own format; export it for the API"),
        (without_marks, "which input takes the prompt"),
    ],
)
async def test_a_graph_that_can_not_be_used(
    settings: Load, here: Given, tmp_path: Path, change: Any, says: str
) -> None:
    file = tmp_path / "graph.json"
    file.write_text(json.dumps(change(example())))
    found = settings(**here, **COMFYUI | {"COMFYUI_WORKFLOW": str(file)})
    line = await refused(found, check_services)
    assert line.startswith("wrong settings: ")
    assert says in line


def comfyui(version: str, checkpoint: str) -> Starlette:
    """A server of that version, with one model."""
    kinds = KINDS | {
        "CheckpointLoaderSimple": {"input": {"required": {"ckpt_name": [[checkpoint], {}]}}}
    }

    async def stats(request: Request) -> JSONResponse:
        return JSONResponse({"system": {"comfyui_version": version}})

    async def kind(request: Request) -> JSONResponse:
        name = request.path_params["name"]
        return JSONResponse({name: kinds[name]})

    routes = [Route("/api/system_stats", stats), Route("/api/object_info/{name}", kind)]
    return Starlette(routes=routes)


@pytest.mark.parametrize(
    ("server", "says"),
    [
        (
            comfyui("0.28.0", "another.safetensors"),
            "ComfyUI models: node 4 (Load Checkpoint): ckpt_name=v1-5-pruned-emaonly-fp16.safetenso"
            "rs is not among the server's: another.safetensors: nothing was started or changed;",
        ),
        (
            comfyui("0.3.40", "v1-5-pruned-emaonly-fp16.safetensors"),
            "ComfyUI version: 0.3.40 is too old: it takes no prompt_id of ours, as 0.3.45 does: ",
        ),
    ],
)
async def test_a_comfyui_without_the_model_and_an_old_one(
    settings: Load, here: Given, server: Starlette, says: str
) -> None:
    async with served(server) as url:
        given = here | COMFYUI | {"COMFYUI_URL": url, "COMFYUI_WORKFLOW": str(WITH_MODEL)}
        assert (await refused(settings(**given))).startswith(says)


async def test_a_comfyui_that_does_not_let_us_in(
    settings: Load, here: Given, image_mock: Service
) -> None:
    await arrange(image_mock, native={"key": "k"})
    line = await refused(settings(**here, **COMFYUI, COMFYUI_HEADERS="X-API-Key: hunter2"))
    assert line.startswith("ComfyUI: ")
    assert "COMFYUI_HEADERS does not let us in" in line
    assert "hunter2" not in line


async def test_a_wrong_key(settings: Load, here: Given, video_mock: Service) -> None:
    line = await refused(settings(**here, **KLING | {"KLING_API_KEY": "hunter2"}))
    assert line.startswith("Kling key: ")
    assert "look at the keys; those of one region are none in another (KLING_URL)" in line
    assert "hunter2" not in line
    await nothing_was_submitted(video_mock)


async def test_a_callback_that_can_not_arrive(settings: Load, here: Given) -> None:
    line = await refused(settings(**here, CALLBACK_URL="https://nowhere.invalid"))
    assert line.startswith("callbacks: CALLBACK_URL=https://nowhere.invalid: its host leads to no")


async def test_nobody_at_either_address(settings: Load, here: Given) -> None:
    nobody = {"COMFYUI_URL": "http://127.0.0.1:1", "KLING_URL": "http://127.0.0.1:1"}
    line = await refused(settings(**here | nobody, **COMFYUI, **KLING))
    assert line.startswith("ComfyUI: nobody answers at http://127.0.0.1:1 (COMFYUI_URL): ")
    assert "; Kling key: nobody answers at http://127.0.0.1:1 (KLING_URL): " in line
    assert line.endswith("VENDOR_CHECKS=off goes on all the same")
