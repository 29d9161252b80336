"""Settings of the API; nothing is read before `load`."""

import re
from typing import Annotated

from pydantic import AnyHttpUrl, Field, SecretStr, ValidationInfo, field_validator

from shared.http.hosts import host_of_url, is_loopback
from shared.settings.common import MOCKED, Mocks, Port
from shared.settings.pipelines import PipelineSettings
from shared.store.settings import StoreSettings
from shared.temporal.pace import Pace

_ANY_ORIGIN = "*"
_ORIGIN = re.compile(r"https?://[^\s/?#@]+")


class ApiSettings(StoreSettings, PipelineSettings):
    api_port: Port = 8000
    api_public_url: AnyHttpUrl | None = None
    temporal_ui_url: AnyHttpUrl = AnyHttpUrl("http://127.0.0.1:8080")
    mocks: Mocks = "on"
    # How often Temporal is asked for what is new.
    pace: Pace = Pace.FAST
    retention_days: Annotated[float, Field(gt=0, le=36_500)] | None = None

    # Whether other machines reach it; the stack says so, because a container can't know.
    api_exposed: bool = Field(default_factory=lambda known: not is_loopback(known["listen_host"]))
    # Access, and the most listeners.
    api_token: SecretStr | None = Field(default=None, validate_default=True)
    api_origins: str = ""
    api_max_sockets: Annotated[int, Field(ge=1, le=100_000)] = 2000

    # The sources of the page's health, receipts and faults.
    callback_service_url: AnyHttpUrl = AnyHttpUrl("http://127.0.0.1:8001")
    mock_comfyui_url: AnyHttpUrl = AnyHttpUrl("http://127.0.0.1:6889")
    mock_kling_url: AnyHttpUrl = AnyHttpUrl("http://127.0.0.1:16882")
    worker_url: AnyHttpUrl = AnyHttpUrl("http://127.0.0.1:9100")
    semaphore_url: AnyHttpUrl = AnyHttpUrl("http://127.0.0.1:9099")
    # The wanted number; a missing worker has no address.
    workers: Annotated[int, Field(ge=1, le=64)] = 1
    # What further pipelines bring, by the names of the services.
    pipeline_services: dict[str, str] = Field(default_factory=dict)
    # Sent to the callback receiver, whose port may be open to others.
    operator_key: SecretStr | None = None

    @field_validator("api_token")
    @classmethod
    def _fits_a_header(cls, token: SecretStr | None) -> SecretStr | None:
        if token is not None and not re.fullmatch(r"[\x21-\x7e]{16,}", token.get_secret_value()):
            raise ValueError("it needs 16 or more visible ASCII characters, and no others")
        return token

    @field_validator("api_token")
    @classmethod
    def _guards_what_is_open(
        cls, token: SecretStr | None, known: ValidationInfo
    ) -> SecretStr | None:
        if token is None and known.data.get("api_exposed"):
            raise ValueError(
                "is needed if the API is open to other machines: set it, or set API_BIND_ADDRESS"
                " and API_PUBLIC_URL to this one; CALLBACK_BIND_ADDRESS opens the callback receiver"
            )
        return token

    @field_validator("api_origins")
    @classmethod
    def _are_origins(cls, text: str) -> str:
        origins = [each for each in _listed(text) if each != _ANY_ORIGIN]
        wrong = [each for each in origins if not _ORIGIN.fullmatch(each)]
        if wrong:
            raise ValueError(f"not origins (scheme://host:port, or *): {', '.join(wrong)}")
        return text

    @property
    def origins(self) -> frozenset[str]:
        """Further origins whose pages may call the API; `*` is any."""
        return frozenset(_listed(self.api_origins))

    @property
    def hosts(self) -> frozenset[str]:
        """The hosts of the settings, and the public one."""
        return super().hosts | {host_of_url(self.public_url)}

    @property
    def public_url(self) -> str:
        """The base of every public address, without a trailing slash."""
        return str(self.api_public_url or f"http://127.0.0.1:{self.api_port}").rstrip("/")

    @property
    def upstreams(self) -> dict[str, str]:
        """Every other HTTP service by name, and the base of its address."""
        return {
            "worker": _base(self.worker_url),
            "semaphore": _base(self.semaphore_url),
            "callback": _base(self.callback_service_url),
            **self.pipeline_services,
        } | self.mock_services

    @property
    def mock_services(self) -> dict[str, str]:
        mocks = {
            "image": ("mock-comfyui", _base(self.mock_comfyui_url)),
            "video": ("mock-kling", _base(self.mock_kling_url)),
        }
        brought = {name: url for name, url in self.pipeline_services.items() if "mock-" in name}
        return dict(mocks[stage] for stage in MOCKED[self.mocks]) | brought


def _base(url: AnyHttpUrl) -> str:
    return str(url).rstrip("/")


def _listed(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]
