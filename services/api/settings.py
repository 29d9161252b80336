"""What the API reads from the environment; nothing is read before `load`."""

from typing import Literal

from pydantic import AnyHttpUrl

from shared.settings import CommonSettings, Port


class ApiSettings(CommonSettings):
    """Settings of the API and its page."""

    api_port: Port = 8000
    api_public_url: AnyHttpUrl | None = None
    temporal_ui_url: AnyHttpUrl = AnyHttpUrl("http://127.0.0.1:8080")
    mocks: Literal["on", "off"] = "on"

    @property
    def public_url(self) -> str:
        """The base of every address that the API gives out, without a slash at its end."""
        return str(self.api_public_url or f"http://127.0.0.1:{self.api_port}").rstrip("/")
