"""What is wrong with a setting is told with its value, but for those that are secrets."""

import pytest
from pydantic import SecretStr
from pydantic_settings import BaseSettings

from compose.stack.settings.checks import Checks
from loadtest.settings import Settings as LoadtestSettings
from services.api.settings import ApiSettings
from services.callback.settings import CallbackSettings
from services.mock_comfyui.settings import ComfyuiSettings
from services.mock_kling.settings import KlingSettings
from services.semaphore.settings import SemaphoreProcessSettings
from services.worker.settings.worker import WorkerSettings

READERS: tuple[type[BaseSettings], ...] = (
    *(ApiSettings, CallbackSettings, ComfyuiSettings, KlingSettings, LoadtestSettings),
    *(SemaphoreProcessSettings, WorkerSettings),
)
SECRETS = {
    name.upper()
    for reader in READERS
    for name, field in reader.model_fields.items()
    if SecretStr.__name__ in str(field.annotation)
}


def wrong(name: str) -> str:
    checks = Checks({name: "hunter2"}, {})
    checks.refuse(name, "is wrong")
    return checks.wrong[0]


def test_the_services_have_secrets() -> None:
    assert {"API_TOKEN", "PAYLOAD_KEY", "VENDOR_PROXY", "VIDEO_API_OPTIONS"} <= SECRETS


@pytest.mark.parametrize("name", sorted(SECRETS))
def test_no_secret_of_any_service_is_shown(name: str) -> None:
    assert wrong(name) == f"{name}=… (default) is wrong"


def test_any_other_is() -> None:
    assert wrong("API_RATE") == "API_RATE=hunter2 (default) is wrong"
