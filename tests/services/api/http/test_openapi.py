"""The API's documents say what it does: every call, every example, fate and close code."""

import json
from pathlib import Path

import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from services.api.app import create_app
from services.api.app import create_app as create_api
from services.api.http import live
from services.api.settings import ApiSettings
from services.callback.app import create_app as create_receiver
from services.callback.models import Fate
from services.callback.settings import CallbackSettings
from tests.services.api.conftest import Api


def test_every_call_documents_its_problems() -> None:
    document = create_app(ApiSettings()).openapi()
    assert "HTTPValidationError" not in json.dumps(document)
    assert "Problem" in document["components"]["schemas"]
    for path, calls in document["paths"].items():
        for call in calls.values():
            if path not in ("/healthz", "/metrics"):
                assert "application/problem+json" in json.dumps(call["responses"]), path
            assert call["description"]


def test_a_change_is_a_name_and_no_number() -> None:
    told = create_app(ApiSettings()).openapi()["components"]["schemas"]["JobList"]
    assert told["properties"]["change"]["type"] == "string"


async def test_what_is_given_twice_is_refused_by_name(api: Api) -> None:
    sentence = "It is given more than once."
    answer = await api.http.get("/jobs?limit=1&limit=2&status=failed&status=queued&stat=x&cursor=y")
    assert {error["field"]: error["message"] for error in answer.json()["errors"]} == {
        "stat": "There is no such parameter.",
        "limit": sentence,
        "status": sentence,
    }


PAGE = "\n".join(
    Path(f"docs/{name}.md").read_text(encoding="utf-8") for name in ("api", "callbacks")
)


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
    "code", [live.NORMAL, live.GOING_AWAY, live.TRY_AGAIN_LATER, live.UNKNOWN_JOB]
)
def test_every_close_code_has_its_row(code: int) -> None:
    assert any(line.startswith(f"| {code}") for line in PAGE.splitlines())


def test_the_sockets_are_named() -> None:
    assert "`WS /ws/jobs`" in PAGE
    assert "`WS /ws/jobs/{job_id}`" in PAGE
