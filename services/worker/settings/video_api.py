"""Whose wire the video service speaks, and what the vendors' own settings have in common."""

import json
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, SecretStr
from pydantic_settings import BaseSettings


def _is_key(setting: SecretStr) -> SecretStr:
    """It goes into a header, or what is made of it does, and nothing of it is said."""
    text = setting.get_secret_value()
    if not (text.isascii() and text.isprintable() and " " not in text):
        raise ValueError("no key: it has blanks, or what no header may have")
    return setting


Key = Annotated[SecretStr, AfterValidator(_is_key)]


class VideoApiSettings(BaseSettings):
    """A part of the worker's; each vendor's own settings are read where it is the one."""

    video_api: Literal["service", "kling", "fal"] = "service"


def extra_of(text: str) -> dict[str, Any]:
    """The members of a JSON object; ValueError where it is none."""
    try:
        found = json.loads(text or "{}")
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ValueError("is no JSON object")
    return found
