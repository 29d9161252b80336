"""What can be changed while a mock runs; a change that doesn't fit is refused whole."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.mock_core.callbacks.policy import CallbackPolicy
from services.mock_core.lib.delays import Delay

Speed = Annotated[float, Field(gt=0, le=1_000_000)]


class RuntimeConfig(BaseModel):
    """`speed` is the clock factor, `seconds` the nominal length of one generation."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    speed: Speed
    seconds: Delay
    result_days: Annotated[float, Field(gt=0)]

    def callback_policy(self) -> CallbackPolicy:
        """How callbacks are sent."""
        return CallbackPolicy()

    def changed(self, changes: Mapping[str, Any]) -> "RuntimeConfig":
        """A copy with these members changed, or a validation error that names each mistake."""
        current = {name: getattr(self, name) for name in type(self).model_fields}
        try:
            return type(self).model_validate(
                {**current, **{name: _merged(current.get(name), changes[name]) for name in changes}}
            )
        except ValidationError as error:
            raise RequestValidationError(
                [{**item, "loc": ("body", *item["loc"])} for item in error.errors()]
            ) from error


def _merged(old: object, new: object) -> object:
    """A change of some members of a part leaves the part's others as they are."""
    if isinstance(old, BaseModel) and isinstance(new, dict):
        return {**old.model_dump(), **new}
    return new
