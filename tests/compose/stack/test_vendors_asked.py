"""The worker's doctor itself, under the stack's settings, before services that are not as they
should be: one clear line each, and nothing is ever submitted."""

import asyncio
import os
import sys

import pytest

from compose.stack import checks
from compose.stack.checks import Start
from compose.stack.environment import environment_of
from compose.stack.output import StackError
from compose.stack.services import Service as Part
from compose.stack.settings import Settings
from compose.stack.subprocesses import Outcome, capture
from services.mock_kling.settings import DEFAULT_API_KEY
from tests.compose.stack.conftest import ROOT, Fake, Load
from tests.services.mock_core.serving import Service
from tests.services.worker.graphs.examples import WITHOUT_MODELS

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


async def refused(settings: Settings) -> str:
    """The line with which the start ends before anything is started."""
    with pytest.raises(StackError) as caught:
        await asyncio.to_thread(look, settings)
    line = str(caught.value)
    assert "\n" not in line
    return line


async def nothing_was_submitted(*mocks: Service) -> None:
    for mock in mocks:
        assert await mock.json("/admin/ledger") == []


async def test_all_is_well_with_both_wires(
    settings: Load, here: Given, image_mock: Service, video_mock: Service
) -> None:
    for more in ({}, COMFYUI | KLING):
        found = settings(**here, **more)
        await asyncio.to_thread(look, found)
    await nothing_was_submitted(image_mock, video_mock)


async def test_a_wrong_key(settings: Load, here: Given, video_mock: Service) -> None:
    line = await refused(settings(**here, **KLING | {"KLING_API_KEY": "hunter2"}))
    assert line.startswith("Kling key: ")
    assert "look at the keys; those of one region are none in another (KLING_URL)" in line
    assert "hunter2" not in line
    await nothing_was_submitted(video_mock)


async def test_nobody_at_either_address(settings: Load, here: Given) -> None:
    nobody = {"COMFYUI_URL": "http://127.0.0.1:1", "KLING_URL": "http://127.0.0.1:1"}
    line = await refused(settings(**here | nobody, **COMFYUI, **KLING))
    assert line.startswith("ComfyUI: nobody answers at http://127.0.0.1:1 (COMFYUI_URL): ")
    assert "; Kling key: nobody answers at http://127.0.0.1:1 (KLING_URL): " in line
    assert line.endswith("VENDOR_CHECKS=off skips this check")
