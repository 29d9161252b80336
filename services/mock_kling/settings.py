"""Settings of the video service; the environment has the names of the fields in capitals."""

from typing import Annotated, Literal

from pydantic import Field
from pydantic_settings import NoDecode

from services.mock_core.lib.delays import Delay, DelaySpec
from services.mock_core.settings import MockSettings

Duplicates = Literal["reject", "first", "accept"]
Places = Annotated[int, Field(ge=0, le=100_000)]


class KlingSettings(MockSettings):
    kling_port: Annotated[int, Field(ge=1, le=65535)] = 16882
    mock_video_seconds: Annotated[Delay, NoDecode] = DelaySpec("fixed", 70)
    # What a second submit of one external_task_id gets; the vendor documents it nowhere.
    kling_duplicates: Duplicates = "reject"
    # Tasks that may be open at once before 1303 is answered; 0: any number.
    kling_places: Places = 0
