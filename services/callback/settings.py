"""What the callback receiver reads from the environment; nothing is read before `load`."""

from typing import Annotated

from pydantic import Field

from shared.settings import CallbackSecret, CommonSettings, Port, Seconds


class CallbackSettings(CommonSettings):
    """Settings of the receiver."""

    callback_port: Port = 8001
    callback_secret: CallbackSecret
    callback_quarantine_seconds: Seconds = 3600
    callback_keep_rows: Annotated[int, Field(ge=1000)] = 200_000
