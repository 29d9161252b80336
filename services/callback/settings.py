"""What the callback receiver reads from the environment; nothing is read before `load`."""

from typing import Annotated

from pydantic import Field, SecretStr

from shared.settings import CommonSettings, Port


class CallbackSettings(CommonSettings):
    """Settings of the receiver."""

    callback_port: Port = 8001
    callback_secret: Annotated[SecretStr, Field(min_length=16)]
