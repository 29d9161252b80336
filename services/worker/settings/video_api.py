"""Whose wire the video service speaks, and what the vendors' own settings have in common."""

import json
from typing import Any, Literal

from pydantic_settings import BaseSettings


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
