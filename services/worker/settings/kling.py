"""Settings of Kling's own API, which are read where `VIDEO_API` is `kling`."""

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from services.worker.settings.video_api import Key, VideoApiSettings, extra_of

# What each request says already.
OURS = frozenset(
    {
        *("model_name", "image", "prompt", "mode", "duration", "sound"),
        *("callback_url", "external_task_id"),
    }
)
DEFAULT_MODEL = "kling-v2-6"
# The models of the third version.
NEW_MODELS = re.compile(r"v3|omni")
OLD_SECONDS = (5, 10)
PRICE = re.compile(r"^\d{1,6}(\.\d{1,4})?$")


def _is_extra(text: str) -> str:
    taken = sorted(OURS & extra_of(text).keys())
    if taken:
        raise ValueError(f"has what is set otherwise: {', '.join(taken)}")
    return text


def _prices(text: str) -> dict[str, str]:
    """Units by what is made: `kling-v2-6/std/5=2 kling-v2-6/pro/10=7`; ValueError for others."""
    pairs = [pair.partition("=") for pair in text.split()]
    wrong = [f"{made}{sign}{units}" for made, sign, units in pairs if not PRICE.match(units)]
    if wrong:
        raise ValueError(f"is no MODEL/MODE/SECONDS=UNITS: {' '.join(wrong)}")
    return {made: units for made, _, units in pairs}


def _is_price_list(text: str) -> str:
    _prices(text)
    return text


class KlingSettings(VideoApiSettings):
    """A part of the worker's."""

    kling_api_key: Key | None = None
    kling_access_key: Key | None = None
    kling_secret_key: Key | None = None
    kling_model: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{0,100}$")] = ""
    kling_mode: Literal["std", "pro", "4k"] = "std"
    kling_duration: Annotated[int, Field(ge=3, le=15)] = 5
    kling_sound: Literal["off", "on"] = "off"
    kling_extra: Annotated[str, AfterValidator(_is_extra)] = ""
    kling_image: Literal["base64", "url"] = "base64"
    kling_look_up: Literal["on", "off"] = "on"
    kling_units: Annotated[str, AfterValidator(_is_price_list)] = ""

    @property
    def model(self) -> str:
        """The model that is asked for."""
        return self.kling_model or DEFAULT_MODEL

    @property
    def price(self) -> str | None:
        """The units that a video of these settings costs by `KLING_UNITS`; None where it isn't
        there."""
        sound = "/sound" if self.kling_sound == "on" else ""
        made = f"{self.model}/{self.kling_mode}/{self.kling_duration}{sound}"
        return _prices(self.kling_units).get(made)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.video_api == "kling":
            wrong = "; ".join(filter(None, (self._keys(), self._work())))
            if wrong:
                raise ValueError(wrong)
        return self

    def _keys(self) -> str:
        pair = [key is not None for key in (self.kling_access_key, self.kling_secret_key)]
        if any(pair) != all(pair):
            return "KLING_ACCESS_KEY and KLING_SECRET_KEY go together"
        if (self.kling_api_key is not None) == all(pair):
            need = "either KLING_API_KEY, or KLING_ACCESS_KEY with KLING_SECRET_KEY"
            return f"VIDEO_API=kling needs {need}" + (", not both" if all(pair) else "")
        return ""

    def _work(self) -> str:
        if NEW_MODELS.search(self.model):
            return ""
        if self.kling_duration not in OLD_SECONDS:
            return f"KLING_DURATION={self.kling_duration}: {self.model} makes 5 or 10 seconds"
        return f"KLING_MODE=4k: {self.model} has std and pro" if self.kling_mode == "4k" else ""
