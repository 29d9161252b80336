"""What the API reads from the environment; nothing is read before `load`."""

from pathlib import Path
from typing import Literal

from pydantic import AnyHttpUrl

from shared.settings import CommonSettings, Port

_EVERY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - compared, never bound


class ApiSettings(CommonSettings):
    """Settings of the API and its page."""

    api_port: Port = 8000
    api_public_url: AnyHttpUrl | None = None
    temporal_ui_url: AnyHttpUrl = AnyHttpUrl("http://127.0.0.1:8080")
    mocks: Literal["on", "off"] = "on"
    # Shown on the page where it can be read.
    reports_dir: Path = Path("reports")

    # Where the page's health, receipts and faults come from; without an address: beside us.
    callback_port: Port = 8001
    comfyui_port: Port = 6889
    kling_port: Port = 16882
    worker_http_port: Port = 9100
    keeper_http_port: Port = 9099
    callback_service_url: AnyHttpUrl | None = None
    mock_comfyui_url: AnyHttpUrl | None = None
    mock_kling_url: AnyHttpUrl | None = None
    worker_url: AnyHttpUrl | None = None
    keeper_url: AnyHttpUrl | None = None

    @property
    def public_url(self) -> str:
        """The base of every address that the API gives out, without a slash at its end."""
        return str(self.api_public_url or f"http://127.0.0.1:{self.api_port}").rstrip("/")

    @property
    def neighbours(self) -> dict[str, str]:
        """Every other HTTP service by its name, and the base of its address."""
        return {
            "worker": self._base(self.worker_url, self.worker_http_port),
            "keeper": self._base(self.keeper_url, self.keeper_http_port),
            "callback": self._base(self.callback_service_url, self.callback_port),
        } | self.mock_services

    @property
    def mock_services(self) -> dict[str, str]:
        """The mocks by name; none where real services are called."""
        if self.mocks == "off":
            return {}
        return {
            "mock-comfyui": self._base(self.mock_comfyui_url, self.comfyui_port),
            "mock-kling": self._base(self.mock_kling_url, self.kling_port),
        }

    def _base(self, url: AnyHttpUrl | None, port: int) -> str:
        host = _EVERY_ADDRESS.get(self.listen_host, self.listen_host)
        return str(url or f"http://{host}:{port}").rstrip("/")
