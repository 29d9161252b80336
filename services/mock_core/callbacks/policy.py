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


Secret = Annotated[str, AfterValidator(_secret)]


class CallbackPolicy(BaseModel):
    """`schedule` has the nominal seconds before each try; `heed` ends it at the first 2xx.

    The vendor documents neither; one try is the default. While the secret is changed there are two.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schedule: Annotated[tuple[Pause, ...], Field(min_length=1, max_length=50)] = (0.0,)
    heed: bool = True
    form: Literal["flat", "envelope"] = "flat"
    signing_secret: Secret | None = None
    old_signing_secret: Secret | None = None

    def sign(self, delivery_id: str, body: bytes) -> dict[str, str]:
        """Standard Webhooks' headers with a signature for each secret; none without a secret."""
        secrets = [each for each in (self.signing_secret, self.old_signing_secret) if each]
        if not secrets:
            return {}
        now = datetime.now(UTC)
        signatures = [Webhook(secret).sign(delivery_id, now, body.decode()) for secret in secrets]
        return {
            "webhook-id": delivery_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": " ".join(signatures),
        }
