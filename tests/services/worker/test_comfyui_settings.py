"""Settings of a ComfyUI: what does not fit is told at the start, and no secret with it."""

from pathlib import Path
from typing import Any

import pytest

from services.worker.graphs.binding import Role
from services.worker.settings.vendors import headers_of
from services.worker.settings.worker import WorkerSettings
from shared.settings.common import load
from tests.services.worker.graphs.examples import WITH_MODEL, WITHOUT_MODELS

KEY = "hunter2hunter2"

pytestmark = pytest.mark.usefixtures("bare_environment")


def loaded(monkeypatch: pytest.MonkeyPatch, **settings: object) -> WorkerSettings:
    for name, value in {"IMAGE_API": "comfyui", "COMFYUI_WORKFLOW": WITH_MODEL, **settings}.items():
        monkeypatch.setenv(name, str(value))
    return load(WorkerSettings)


def refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], **settings: object
) -> str:
    with pytest.raises(SystemExit):
        loaded(monkeypatch, **settings)
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    return line


def test_the_small_api_needs_none_of_it() -> None:
    assert load(WorkerSettings).image_api == "service"
    with pytest.raises(ValueError, match="no ComfyUI"):
        _ = load(WorkerSettings).plan


def test_the_workflow_is_read_and_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = loaded(monkeypatch, COMFYUI_WIDTH="640", COMFYUI_PROMPT="best {prompt}")
    assert (settings.plan.width, settings.plan.height) == (640, None)
    assert settings.plan.template == "best {prompt}"
    assert settings.model_copy(update={"image_service_url": "http://x"}).plan is settings.plan


def test_both_documented_graphs_bind_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    for path in (WITH_MODEL, WITHOUT_MODELS):
        plan = loaded(monkeypatch, COMFYUI_WORKFLOW=path).plan
        assert {Role.PROMPT, Role.PREFIX, Role.WIDTH, Role.HEIGHT} <= set(plan.binding.targets)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"COMFYUI_WORKFLOW": ""}, "COMFYUI_WORKFLOW: IMAGE_API=comfyui needs"),
        ({"COMFYUI_WORKFLOW": "/nowhere.json"}, "COMFYUI_WORKFLOW: it can't be read"),
        ({"COMFYUI_BINDINGS": "prompt=6.txt"}, "COMFYUI_BINDINGS: prompt=6.txt: node 6"),
        ({"COMFYUI_OUTPUT": "66"}, "COMFYUI_OUTPUT: 66: there is no such node"),
        ({"COMFYUI_PROMPT": "a cat"}, "COMFYUI_PROMPT: it must have {prompt} in it"),
        ({"COMFYUI_WIDTH": "8"}, "COMFYUI_WIDTH: "),
        ({"IMAGE_API": "comfy"}, "IMAGE_API: "),
        *(
            ({"IMAGE_SERVICE_URL": f"http://x/{end}"}, "IMAGE_SERVICE_URL: no query")
            for end in ("?token=k", "#gpu")
        ),
    ],
)
def test_a_mistake_is_told_behind_its_setting(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    settings: dict[str, Any],
    said: str,
) -> None:
    assert f"wrong settings: {said}" in refused(monkeypatch, capsys, **settings)


def test_a_graph_in_the_editors_format_is_told_how_to_be_exported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "workflow.json"
    file.write_text('{"last_node_id": 9, "nodes": [], "links": [], "version": 0.4}')
    line = refused(monkeypatch, capsys, COMFYUI_WORKFLOW=file)
    assert "COMFYUI_WORKFLOW: it is in the editor's own format; export it for the API" in line


@pytest.mark.parametrize(
    ("text", "headers"),
    [
        (f"X-API-Key: {KEY}", {"X-API-Key": KEY}),
        (f"Authorization:Bearer {KEY} , X-B:1", {"Authorization": f"Bearer {KEY}", "X-B": "1"}),
        ("Cookie: a=1; b=2", {"Cookie": "a=1; b=2"}),
    ],
)
def test_headers_are_pairs(
    monkeypatch: pytest.MonkeyPatch, text: str, headers: dict[str, str]
) -> None:
    settings = loaded(monkeypatch, COMFYUI_HEADERS=text)
    assert headers_of(settings.comfyui_headers) == headers
    assert KEY not in repr(settings)


def test_without_headers_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert headers_of(loaded(monkeypatch).comfyui_headers) == {}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (KEY, "the pair 1 is not Name: value"),
        (f"X-A: 1,{KEY}", "the pair 2 is not Name: value"),
        (f"X-A: {KEY},", "the pair 2 is not Name: value"),
        (f"X A: {KEY}", "the pair 1 is not Name: value"),
        (f"X-A: {KEY}\nX-B: 2", "the pair 1 is not Name: value"),
        (f"X-A: é{KEY}", "the pair 1 is not Name: value"),
        ("X-A:", "the pair 1 is not Name: value"),
        (f"Origin: {KEY}", "Origin can't be set"),
        (f"host: {KEY}", "host can't be set"),
    ],
)
def test_malformed_headers_are_one_line_without_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], text: str, why: str
) -> None:
    line = refused(monkeypatch, capsys, COMFYUI_HEADERS=text)
    assert line == f"wrong settings: COMFYUI_HEADERS: {why}\n"
