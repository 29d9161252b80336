"""The setting of payload encryption, for every client of Temporal."""

from typing import TYPE_CHECKING, Annotated

from pydantic import SecretStr
from pydantic_settings import BaseSettings

from shared.http.mistakes import read_by

if TYPE_CHECKING:
    from shared.temporal.codec import PayloadKeys


class PayloadSettings(BaseSettings):
    """`PAYLOAD_KEY`; wrong keys are named by their place in the list, never by their value."""

    payload_key: Annotated[SecretStr | None, read_by(lambda text: _parsed(text))] = None

    @property
    def payload_keys(self) -> "PayloadKeys":
        return _parsed(self.payload_key)


def _parsed(text: SecretStr | None) -> "PayloadKeys":
    # Imported here, because it needs Temporal's SDK, and settings must be checked quickly.
    from shared.temporal.codec import PayloadKeys

    return PayloadKeys.parse(text.get_secret_value() if text else "")
