"""Settings of fal's queue, which are read where `VIDEO_API` is `fal`."""

from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from services.worker.settings.video_api import Key, VideoApiSettings, extra_of

_PART = "[A-Za-z0-9_][A-Za-z0-9._-]*"
# Owner, application, and which of its endpoints.
MODEL = rf"^{_PART}(/{_PART})+$"
DEFAULT_MODEL = "fal-ai/kling-video/v2.1/standard/image-to-video"


def _is_object(text: str) -> str:
    extra_of(text)
    return text


class FalSettings(VideoApiSettings):
    """A part of the worker's."""

    fal_key: Key | None = None
    fal_model: Annotated[str, Field(pattern=MODEL)] = DEFAULT_MODEL
    fal_image_input: Annotated[str, Field(pattern=r"^[A-Za-z0-9_]{1,100}$")] = "image_url"
    fal_input: Annotated[str, AfterValidator(_is_object)] = ""

    @model_validator(mode="after")
    def _fits_fal(self) -> Self:
        if self.video_api != "fal":
            return self
        if self.fal_key is None:
            raise ValueError("VIDEO_API=fal needs FAL_KEY")
        if taken := sorted({"prompt", self.fal_image_input} & extra_of(self.fal_input).keys()):
            raise ValueError(f"FAL_INPUT has what is set otherwise: {', '.join(taken)}")
        return self
