"""The API's documents say what it does: every call, every example, fate and close code."""

from pathlib import Path

import httpx
from fastapi import FastAPI
from pydantic import SecretStr

from services.api.app import create_app
from services.api.http import live
from services.api.settings import ApiSettings
from services.callback.app import create_app as create_receiver
from services.callback.models import Fate
from services.callback.settings import CallbackSettings


async def test_duplicate_parameters_are_refused_by_name(offline: httpx.AsyncClient) -> None:
    sentence = "It is given more than once."
    answer = await offline.get("/jobs?limit=1&limit=2&status=failed&status=queued&stat=x&cursor=y")
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


def test_every_call_fate_and_close_code_is_documented() -> None:
    receiver = create_receiver(CallbackSettings(callback_secret=SecretStr("x" * 32)))
    for call in calls(create_app(ApiSettings())) | calls(receiver):
        assert f"`{call}`" in PAGE or f"`{call}?" in PAGE, call
    for fate in Fate:
        assert f"| `{fate}` |" in PAGE
    for code in (live.NORMAL, live.GOING_AWAY, live.TRY_AGAIN_LATER, live.UNKNOWN_JOB):
        assert f"\n| {code}" in PAGE
    for socket in ("`WS /ws/jobs`", "`WS /ws/jobs/{job_id}`"):
        assert socket in PAGE
