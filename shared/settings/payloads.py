"""The setting of payload encryption, for every client of Temporal."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, get_args

from pydantic import SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings

if TYPE_CHECKING:
    from shared.temporal.codec import PayloadKeys


class PayloadSettings(BaseSettings):
    """`PAYLOAD_KEY`; wrong keys are named by their place in the list, never by their value."""

    payload_key: SecretStr | None = None

    @field_validator("*", mode="before")
    @classmethod
    def _numbers_are_digits(cls, value: object, known: ValidationInfo) -> object:
        """Refuse `1_0`, which pydantic takes for 10."""
        kinds = {*_kinds(cls.model_fields[str(known.field_name)].annotation)}
        if isinstance(value, str) and "_" in value and kinds & {int, float}:
            raise ValueError("it is not a number")
        return value

    @field_validator("payload_key")
    @classmethod
    def _are_keys(cls, text: SecretStr | None) -> SecretStr | None:
        if text is not None:
            _parsed(text)
        return text

    @property
    def payload_keys(self) -> "PayloadKeys":
        return _parsed(self.payload_key)


def _kinds(annotation: object) -> Iterator[object]:
    """Yield a type and those that it is made of."""
    yield annotation
    for each in get_args(annotation):
        yield from _kinds(each)


def _parsed(text: SecretStr | None) -> "PayloadKeys":
    # Imported here, because it needs Temporal's SDK, and settings must be checked quickly.
    from shared.temporal.codec import PayloadKeys

    return PayloadKeys.parse(text.get_secret_value() if text else "")
