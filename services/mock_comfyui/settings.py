"""Settings of the image service; the environment has the names of the fields in capitals."""

from typing import Annotated

from pydantic import Field
from pydantic_settings import NoDecode

from services.mock_core.lib.delays import Delay, DelaySpec
from services.mock_core.settings import MockSettings


class ComfyuiSettings(MockSettings):
    comfyui_port: Annotated[int, Field(ge=1, le=65535)] = 6889
    mock_image_seconds: Annotated[Delay, NoDecode] = DelaySpec("fixed", 30)
    # 0: every generation starts at once, but for those of the native wire, of which one runs.
    comfyui_workers: Annotated[int, Field(ge=0, le=10_000)] = 0
