"""The vendor's own request (documented, not captured)."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from services.mock_kling.catalogue import FIRST_MODEL
from services.mock_kling.native.reading import CallbackUrl, ExternalId

Text = Annotated[str, Field(max_length=2500)]


class CreateTask(BaseModel):
    """Members that are not listed are ignored, as the vendor adds to them often."""

    model_config = ConfigDict(protected_namespaces=())

    model_name: str = FIRST_MODEL
    image: Annotated[str, Field(min_length=1)]
    image_tail: str | None = None
    prompt: Text = ""
    negative_prompt: Text = ""
    cfg_scale: Annotated[float, Field(ge=0, le=1)] = 0.5
    mode: Literal["std", "pro", "4k"] = "std"
    duration: Annotated[str, Field(pattern=r"^([3-9]|1[0-5])$")] = "5"
    sound: Literal["on", "off"] = "off"
    callback_url: CallbackUrl = None
    external_task_id: ExternalId = None

    @property
    def detail(self) -> dict[str, Any]:
        """What the price depends on."""
        return {
            "model": self.model_name,
            "mode": self.mode,
            "duration": self.duration,
            "sound": self.sound,
            "strict": True,
        }
