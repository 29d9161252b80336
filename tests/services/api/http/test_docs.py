"""The page about API and receiver names every call, fate and close code that there is."""

from pathlib import Path

import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from services.api.app import create_app as create_api
from services.api.http import sockets
from services.api.settings import ApiSettings
from services.callback.app import create_app as create_receiver
from services.callback.models import Fate
from services.callback.settings import CallbackSettings

PAGE = Path("docs/api.md").read_text(encoding="utf-8")


def calls(app: FastAPI) -> set[str]:
    paths = app.openapi()["paths"]
    return {f"{method.upper()} {path}" for path in paths for method in paths[path]}


@pytest.mark.parametrize(
    "call",
    sorted(
        calls(create_api(ApiSettings()))
        | calls(create_receiver(CallbackSettings(callback_secret=SecretStr("x" * 32))))
    ),
)
def test_every_call_is_named(call: str) -> None:
    assert f"`{call}`" in PAGE or f"`{call}?" in PAGE


@pytest.mark.parametrize("fate", list(Fate))
def test_every_fate_has_its_row(fate: Fate) -> None:
    assert f"| `{fate}` |" in PAGE


@pytest.mark.parametrize(
    "code", [sockets.NORMAL, sockets.GOING_AWAY, sockets.TRY_AGAIN_LATER, sockets.UNKNOWN_JOB]
)
def test_every_close_code_has_its_row(code: int) -> None:
    assert any(line.startswith(f"| {code}") for line in PAGE.splitlines())


def test_the_sockets_are_named() -> None:
    assert "`WS /ws/jobs`" in PAGE
    assert "`WS /ws/jobs/{job_id}`" in PAGE
