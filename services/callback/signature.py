"""Verify signatures of callbacks (Standard Webhooks) before a body is read.

A valid one proves nothing about the task: a callback stays a hint.
"""

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Mapping

from pydantic import SecretStr

PREFIX = "whsec_"
VERSION = "v1,"
TOLERANCE_SECONDS = 300
# Of one header; a vendor sends two signatures only while it rotates its secret.
MOST_SIGNATURES = 10


def keys_of(secrets: str) -> list[bytes]:
    """Return the keys of secrets with commas between them; raise ValueError for an invalid one."""
    try:
        keys = [
            base64.b64decode(each.strip().removeprefix(PREFIX), validate=True)
            for each in secrets.split(",")
        ]
    except binascii.Error:
        raise ValueError(f"is not base64, with or without {PREFIX} before it") from None
    if not all(keys):
        raise ValueError("has an empty secret, with which anyone could sign")
    return keys


class Signatures:
    """The signatures of one vendor; without its secret none is verified."""

    def __init__(self, secret: SecretStr | None) -> None:
        self._keys = keys_of(secret.get_secret_value()) if secret else []

    def fits(self, headers: Mapping[str, str], raw: bytes) -> bool:
        """True if the vendor has signed this body, or no signature came."""
        given = headers.get("webhook-signature")
        if given is None or not self._keys:
            return True
        sent_at = headers.get("webhook-timestamp", "")
        if not (sent_at.isascii() and sent_at.isdigit() and len(sent_at) < 20):
            return False
        if abs(time.time() - int(sent_at)) > TOLERANCE_SECONDS:
            return False
        signed = f"{headers.get('webhook-id', '')}.{sent_at}.".encode("utf-8", "replace") + raw
        macs = [hmac.new(key, signed, hashlib.sha256).digest() for key in self._keys]
        found = [
            each.removeprefix(VERSION).encode("utf-8", "replace")
            for each in given.split()
            if each.startswith(VERSION)
        ][:MOST_SIGNATURES]
        # A list, because all of them are compared in any case.
        return any(
            [hmac.compare_digest(base64.b64encode(mac), each) for mac in macs for each in found]
        )
