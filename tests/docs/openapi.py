"""`python -m tests.docs.openapi` writes docs/openapi: the OpenAPI file of each service."""

import json
from collections.abc import Callable, Mapping
from contextlib import nullcontext

from fastapi import FastAPI
from pydantic import SecretStr

from services.api.app import create_app as api
from services.api.settings import ApiSettings
from services.callback.app import create_app as callback
from services.callback.settings import CallbackSettings
from services.mock_comfyui.app import create_app as mock_comfyui
from services.mock_comfyui.settings import ComfyuiSettings
from services.mock_kling.app import create_app as mock_kling
from services.mock_kling.settings import KlingSettings
from shared.health import Work
from shared.settings.common import PollingSettings
from tests.docs.pages import REFERENCES

COMMAND = ".venv/bin/python -m tests.docs.openapi"
SECRET = SecretStr("x" * 32)


def _polling(name: str) -> FastAPI:
    """A process that polls Temporal, which has the routes of every service and no other."""
    return Work(name, lambda client: nullcontext(), PollingSettings()).app(lambda: None)


APPS: Mapping[str, Callable[[], FastAPI]] = {
    "api": lambda: api(ApiSettings()),
    "callback": lambda: callback(CallbackSettings(callback_secret=SECRET)),
    "mock-comfyui": lambda: mock_comfyui(ComfyuiSettings()),
    "mock-kling": lambda: mock_kling(KlingSettings()),
    "worker": lambda: _polling("worker"),
    "semaphore": lambda: _polling("semaphore"),
}


def document(name: str) -> str:
    """The file of one service, as its code has it."""
    return json.dumps(APPS[name]().openapi(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for name in APPS:
        (REFERENCES / f"{name}.json").write_text(document(name), encoding="utf-8")
