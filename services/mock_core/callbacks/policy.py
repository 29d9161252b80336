"""How callbacks are sent when no fault is in the way: schedule, form, signature."""

import base64
import binascii
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from standardwebhooks.webhooks import Webhook

Pause = Annotated[float, Field(ge=0, le=10_000_000)]
_PREFIX = "whsec_"


def _secret(value: str) -> str:
    try:
        key = base64.b64decode(value.removeprefix(_PREFIX), validate=True)
    except binascii.Error as error:
        raise ValueError("must be base64, with or without whsec_ before it") from error
    if len(key) < 16:
        raise ValueError("needs at least 16 bytes")
    return value


class CallbackPolicy(BaseModel):
    """`schedule` has the nominal seconds before each try; `heed` ends it at the first 2xx.

    The vendor documents neither; one try is the default.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schedule: Annotated[tuple[Pause, ...], Field(min_length=1, max_length=50)] = (0.0,)
    heed: bool = True
    form: Literal["flat", "envelope"] = "flat"
    signing_secret: Annotated[str, AfterValidator(_secret)] | None = None

    def sign(self, delivery_id: str, body: bytes) -> dict[str, str]:
        """Standard Webhooks' three headers; none without a secret."""
        if self.signing_secret is None:
            return {}
        now = datetime.now(UTC)
        signature = Webhook(self.signing_secret).sign(delivery_id, now, body.decode())
        return {
            "webhook-id": delivery_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": signature,
        }
