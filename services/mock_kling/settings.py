"""Settings of the video service; the environment has the names of the fields in capitals."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field
from pydantic_settings import NoDecode

from services.mock_core.lib.delays import Delay, DelaySpec
from services.mock_core.settings import MockSettings

_HOST = re.compile(r"([a-z0-9._-]+|\[[0-9a-f:.]+\])(:\d{1,5})?")


def listed(text: str) -> list[str]:
    """The items of a list with commas, in small letters."""
    return [item.lower() for item in map(str.strip, text.split(",")) if item]


def _hosts(text: str) -> str:
    wrong = [item for item in listed(text) if not _HOST.fullmatch(item)]
    if wrong:
        raise ValueError(f"not host:port: {', '.join(wrong)}")
    return text


Hosts = Annotated[str, AfterValidator(_hosts)]
Duplicates = Literal["reject", "first", "accept"]
Places = Annotated[int, Field(ge=0, le=100_000)]


class KlingSettings(MockSettings):
    kling_port: Annotated[int, Field(ge=1, le=65535)] = 16882
    mock_video_seconds: Annotated[Delay, NoDecode] = DelaySpec("fixed", 70)
    # What a second submit of one external_task_id gets; the vendor documents it nowhere.
    kling_duplicates: Duplicates = "reject"
    # Tasks that may be open at once before 1303 is answered; 0: any number.
    kling_places: Places = 0
    # Beside this machine's own: where callbacks may go, and where pictures may come from.
    mock_callback_hosts: Hosts = ""
    mock_picture_hosts: Hosts = ""
