"""fal's settings: what does not fit together is said in one line, before anything is paid."""

import pytest

from services.worker.settings.worker import WorkerSettings
from shared.settings.common import load
from tests.services.worker.conftest import refusal

KEY = {"FAL_KEY": "id-of-the-test:secret"}


@pytest.fixture(autouse=True)
def _video_api(bare_environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDEO_API", "fal")


@pytest.mark.parametrize(
    "environ",
    [
        KEY,
        KEY | {"FAL_MODEL": "owner/app"},
        KEY | {"FAL_IMAGE_INPUT": "start_image_url", "FAL_INPUT": '{"image_url": "x"}'},
    ],
    indirect=True,
)
def test_what_fits(environ: dict[str, str]) -> None:
    assert load(WorkerSettings).video_api == "fal"


@pytest.mark.parametrize(
    ("environ", "why"),
    [
        ({}, "VIDEO_API=fal needs FAL_KEY"),
        ({"FAL_KEY": "a key"}, "FAL_KEY: no key"),
        ({"FAL_KEY": "schlüssel"}, "FAL_KEY: no key"),
        (KEY | {"FAL_MODEL": "kling"}, "FAL_MODEL: "),
        (KEY | {"FAL_MODEL": "https://queue.fal.run/a/b"}, "FAL_MODEL: "),
        (KEY | {"FAL_MODEL": "a/../b"}, "FAL_MODEL: "),
        (KEY | {"FAL_IMAGE_INPUT": "image.url"}, "FAL_IMAGE_INPUT: "),
        (KEY | {"FAL_INPUT": "[1]"}, "FAL_INPUT: is no JSON object"),
        (
            KEY | {"FAL_INPUT": '{"image_url": "x", "prompt": "y", "seed": 1}'},
            "FAL_INPUT has what is set otherwise: image_url, prompt",
        ),
    ],
    indirect=["environ"],
)
def test_what_does_not(
    environ: dict[str, str], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    line = refusal(capsys)
    assert why in line
    assert environ.get("FAL_KEY", "no key at all") not in line


@pytest.mark.parametrize("environ", [{"FAL_INPUT": '{"prompt": "x"}'}], indirect=True)
def test_nothing_is_asked_for_where_the_video_api_is_another(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIDEO_API", "service")
    assert load(WorkerSettings).fal_key is None


@pytest.mark.parametrize("environ", [KEY], indirect=True)
def test_no_key_is_shown(environ: dict[str, str]) -> None:
    assert KEY["FAL_KEY"] not in repr(load(WorkerSettings))
