"""How fal's webhooks are sent and signed (documented): Ed25519, ten more tries within two hours."""

import base64
import hashlib
import time
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import PrivateAttr

from services.mock_core.callbacks.policy import CallbackPolicy

USER = "mock-user"
# Nominal seconds before each try; how the two hours are shared out is documented nowhere.
SCHEDULE = (0.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1200.0, 1680.0, 2300.0)


class Signer:
    """One key for as long as the service runs."""

    def __init__(self) -> None:
        self._key = Ed25519PrivateKey.generate()

    def keys(self) -> dict[str, Any]:
        """The public key as a JSON web key set."""
        public = base64.urlsafe_b64encode(self._key.public_key().public_bytes_raw())
        key = {"kty": "OKP", "crv": "Ed25519", "use": "sig", "kid": "mock-fal-1"}
        return {"keys": [{**key, "x": public.decode().rstrip("=")}]}

    def headers(self, request_id: str, body: bytes) -> dict[str, str]:
        """The four headers that come with a body."""
        told = (request_id, USER, str(int(time.time())))
        message = "\n".join((*told, hashlib.sha256(body).hexdigest()))
        names = ("Request-Id", "User-Id", "Timestamp", "Signature")
        values = (*told, self._key.sign(message.encode()).hex())
        return {f"X-Fal-Webhook-{name}": value for name, value in zip(names, values, strict=True)}


class WebhookPolicy(CallbackPolicy):
    """Of one request."""

    schedule: tuple[float, ...] = SCHEDULE
    _signer: Signer = PrivateAttr()
    _request_id: str = PrivateAttr()

    @classmethod
    def of(cls, signer: Signer, request_id: str) -> "WebhookPolicy":
        policy = cls()
        policy._signer, policy._request_id = signer, request_id
        return policy

    def sign(self, delivery_id: str, body: bytes) -> dict[str, str]:
        return self._signer.headers(self._request_id, body)
