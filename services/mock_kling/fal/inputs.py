"""What a model at fal is called with; the queue takes anything, the model itself may refuse it."""

import base64
import binascii
import json
from typing import Annotated, Any

from pydantic import AliasChoices, BaseModel, Field, ValidationError

_DATA = "data:"


class Inputs(BaseModel):
    """Inputs that the model doesn't know are dropped without a word."""

    prompt: Annotated[str, Field(max_length=2500)]
    image_url: Annotated[
        str,
        Field(
            min_length=1,
            pattern=r"^(https?://|data:image/)",
            validation_alias=AliasChoices("image_url", "start_image_url"),
        ),
    ]
    duration: Annotated[str, Field(pattern=r"^([3-9]|1[0-5])$")] = "5"

    @property
    def image(self) -> str | bytes:
        """The address, or the picture itself; what is no base64 is no picture."""
        if not self.image_url.startswith(_DATA):
            return self.image_url
        try:
            return base64.b64decode(self.image_url.partition(",")[2], validate=True)
        except (binascii.Error, ValueError):
            return b""


def read(given: dict[str, Any]) -> Inputs | str:
    """The inputs, or the model's mistakes as JSON."""
    try:
        return Inputs.model_validate(given)
    except ValidationError as error:
        mistakes = [
            {"loc": ["body", *map(str, item["loc"])], "msg": item["msg"], "type": item["type"]}
            for item in error.errors()
        ]
        return json.dumps(mistakes)
