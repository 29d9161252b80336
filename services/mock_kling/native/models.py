"""The vendor's own request (documented, not captured)."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

MODELS = (
    "kling-v1",
    "kling-v1-5",
    "kling-v1-6",
    "kling-v2-master",
    "kling-v2-1",
    "kling-v2-1-master",
    "kling-v2-5-turbo",
    "kling-v2-6",
)
Text = Annotated[str, Field(max_length=2500)]


class CreateTask(BaseModel):
    """Members that are not listed are ignored, as the vendor adds to them often."""

    model_config = ConfigDict(protected_namespaces=())

    model_name: str = MODELS[0]
    image: Annotated[str, Field(min_length=1)]
    image_tail: str | None = None
    prompt: Text = ""
    negative_prompt: Text = ""
    cfg_scale: Annotated[float, Field(ge=0, le=1)] = 0.5
    mode: Literal["std", "pro"] = "std"
    duration: Literal["5", "10"] = "5"
    sound: Literal["on", "off"] = "off"
    callback_url: Annotated[str, Field(pattern=r"^https?://[^\s/]+", max_length=2048)] | None = None
    external_task_id: Annotated[str, Field(min_length=1, max_length=255)] | None = None

    @property
    def image_url(self) -> str | None:
        return self.image if self.image.startswith(("http://", "https://")) else None
