"""What the callback receiver reads from the environment; nothing is read before `load`."""

from typing import Annotated

from pydantic import AnyHttpUrl, Field

from shared.hosts import host_of_url
from shared.settings import CallbackSecret, Port, PublicSettings, Seconds


class CallbackSettings(PublicSettings):
    """Settings of the receiver."""

    callback_port: Port = 8001
    callback_url: AnyHttpUrl = AnyHttpUrl("http://127.0.0.1:8001")
    callback_secret: CallbackSecret
    callback_quarantine_seconds: Seconds = 3600
    callback_keep_rows: Annotated[int, Field(ge=1000)] = 200_000

    @property
    def hosts(self) -> frozenset[str]:
        """Those of the settings, and the one that the video service calls."""
        return super().hosts | {host_of_url(str(self.callback_url))}
