"""Kling's settings: what does not fit together is said in one line, before anything is paid."""

import pytest

from services.worker.settings.worker import WorkerSettings
from shared.settings.common import load
from tests.services.worker.conftest import refusal

KEY = {"KLING_API_KEY": "key-of-the-test"}
PAIR = {"KLING_ACCESS_KEY": "access-of-the-test", "KLING_SECRET_KEY": "secret-of-the-test"}


@pytest.fixture(autouse=True)
def _video_api(bare_environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDEO_API", "kling")


def with_key(**more: str) -> dict[str, str]:
    return KEY | more


@pytest.mark.parametrize(
    ("environ", "model"),
    [
        (KEY, "kling-v2-6"),
        (PAIR, "kling-v2-6"),
        (with_key(KLING_DURATION="10", KLING_MODE="pro", KLING_SOUND="on"), "kling-v2-6"),
        (with_key(KLING_MODEL="kling-v3", KLING_DURATION="3", KLING_MODE="4k"), "kling-v3"),
        (with_key(KLING_MODEL="kling-v3-omni", KLING_DURATION="15"), "kling-v3-omni"),
        (with_key(KLING_EXTRA='{"cfg_scale": 0.5}'), "kling-v2-6"),
    ],
    indirect=["environ"],
)
def test_what_fits(environ: dict[str, str], model: str) -> None:
    assert load(WorkerSettings).model == model


@pytest.mark.parametrize(
    ("environ", "why"),
    [
        ({}, "VIDEO_API=kling needs either KLING_API_KEY, or KLING_ACCESS_KEY with"),
        (KEY | PAIR, "not both"),
        ({"KLING_ACCESS_KEY": "a"}, "go together"),
        ({"KLING_API_KEY": "a key"}, "KLING_API_KEY: no key"),
        ({"KLING_API_KEY": "a-key\n"}, "KLING_API_KEY: no key"),
        (PAIR | {"KLING_ACCESS_KEY": "schlüssel"}, "KLING_ACCESS_KEY: no key"),
        (PAIR | {"KLING_SECRET_KEY": "a\tkey"}, "KLING_SECRET_KEY: no key"),
        (with_key(KLING_SECRET_KEY="s"), "go together"),
        (with_key(KLING_DURATION="7"), "KLING_DURATION=7: kling-v2-6 makes 5 or 10 seconds"),
        (with_key(KLING_DURATION="16"), "KLING_DURATION: Input should be less than or equal to 15"),
        (with_key(KLING_MODE="4k"), "KLING_MODE=4k: kling-v2-6 has std and pro"),
        (with_key(KLING_MODEL="kling v1"), "KLING_MODEL: "),
        (with_key(KLING_EXTRA="[1]"), "KLING_EXTRA: is no JSON object"),
        (with_key(KLING_EXTRA="{"), "KLING_EXTRA: is no JSON object"),
        (
            with_key(KLING_EXTRA='{"image": "x", "external_task_id": "y", "cfg_scale": 1}'),
            "KLING_EXTRA: has what is set otherwise: external_task_id, image",
        ),
    ],
    indirect=["environ"],
)
def test_what_does_not(
    environ: dict[str, str], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    line = refusal(capsys)
    assert why in line
    assert not any(value in line for value in (*KEY.values(), *PAIR.values()))


def test_nothing_is_asked_for_where_the_video_api_is_our_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("VIDEO_API", "service")
    monkeypatch.setenv("KLING_ACCESS_KEY", "half")
    assert load(WorkerSettings).video_api == "service"


@pytest.mark.parametrize("environ", [KEY | PAIR], indirect=True)
def test_no_key_is_shown(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDEO_API", "service")
    shown = repr(load(WorkerSettings))
    assert not any(value in shown for value in environ.values())
