"""The setting of payload encryption, for every client of Temporal."""

from typing import TYPE_CHECKING

from pydantic import SecretStr, field_validator
from pydantic_settings import BaseSettings

if TYPE_CHECKING:
    from shared.temporal.codec import PayloadKeys


class PayloadSettings(BaseSettings):
    """`PAYLOAD_KEY`; wrong keys are named by their place in the list, never by their value."""

    payload_key: SecretStr | None = None

    @field_validator("payload_key")
    @classmethod
    def _are_keys(cls, text: SecretStr | None) -> SecretStr | None:
        if text is not None:
            _parsed(text)
        return text

    @property
    def payload_keys(self) -> "PayloadKeys":
        return _parsed(self.payload_key)


def _parsed(text: SecretStr | None) -> "PayloadKeys":
    # Imported here, because it needs Temporal's SDK, and settings must be checked quickly.
    from shared.temporal.codec import PayloadKeys

    return PayloadKeys.parse(text.get_secret_value() if text else "")
