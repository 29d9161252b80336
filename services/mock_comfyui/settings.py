"""Settings of the image service, and what can be changed while it runs."""

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field
from pydantic_settings import NoDecode

from services.mock_core.clock import Delay, DelaySpec
from services.mock_core.settings import MockSettings, Part, Port, RuntimeConfig

if TYPE_CHECKING:
    from services.mock_core.mock import Mock


class ComfyuiSettings(MockSettings):
    comfyui_port: Port = 6889
    mock_image_seconds: Annotated[Delay, NoDecode] = DelaySpec(30)


class NativeConfig(Part):
    """The server behind the native wire; by default it behaves like a real 0.28.0.

    `sockets`: `stolen` ones get no frames. `key`: the required value of `X-API-Key` or
    `Authorization: Bearer`. `format`: that of the pictures of `SaveImage`.
    """

    version: Literal["0.28.0", "0.3.64"] = "0.28.0"
    sockets: Literal["live", "stolen"] = "live"
    key: Annotated[str, Field(min_length=1, max_length=255)] | None = None
    format: Literal["png", "jpeg", "webp"] = "png"

    @property
    def is_old(self) -> bool:
        """True if the server has no job routes, and does not check ids."""
        return self.version == "0.3.64"


class ComfyuiConfig(RuntimeConfig):
    native: NativeConfig = NativeConfig()


def native_config(mock: "Mock") -> NativeConfig:
    config = mock.config
    assert isinstance(config, ComfyuiConfig)  # noqa: S101 - set by the factory
    return config.native
