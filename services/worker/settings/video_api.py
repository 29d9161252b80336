"""Whose wire the video service speaks, and what the vendors' own settings have in common."""

import json
import pkgutil
from typing import Annotated, Any

from pydantic import AfterValidator, Field, SecretStr
from pydantic_settings import BaseSettings


def _is_key(setting: SecretStr) -> SecretStr:
    """It goes into a header, or what is made of it does, and nothing of it is said."""
    text = setting.get_secret_value()
    if not (text.isascii() and text.isprintable() and " " not in text):
        raise ValueError("no key: it has blanks, or what no header may have")
    return setting


Key = Annotated[SecretStr, AfterValidator(_is_key)]


def _is_there(video_api: str) -> str:
    """A class is imported now, so that a wrong name is reported before anything starts."""
    if ":" in video_api:
        try:
            pkgutil.resolve_name(video_api)
        except (ImportError, AttributeError) as error:
            raise ValueError(f"{video_api} can't be imported: {error}") from None
    return video_api


def _is_object(setting: SecretStr) -> SecretStr:
    extra_of(setting.get_secret_value())
    return setting


# `package.module:Class` is a vendor of the user's own.
VideoApi = Annotated[
    str,
    Field(pattern=r"^(service|kling|[A-Za-z_][\w.]*:[A-Za-z_]\w*)$"),
    AfterValidator(_is_there),
]


class VideoApiSettings(BaseSettings):
    """A part of the worker's; each vendor's own settings are read where it is the one."""

    video_api: VideoApi = "service"
    # Secret, because a vendor's key is among them.
    video_api_options: Annotated[SecretStr, AfterValidator(_is_object)] | None = None

    @property
    def own_options(self) -> dict[str, Any]:
        """The options of a vendor that VIDEO_API names by its class."""
        options = self.video_api_options
        return extra_of(options.get_secret_value()) if options else {}


def extra_of(text: str) -> dict[str, Any]:
    """The members of a JSON object; ValueError where it is none."""
    try:
        found = json.loads(text or "{}")
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ValueError("is no JSON object")
    return found
