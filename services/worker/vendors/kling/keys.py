"""Authorization: an API key, or a JWT of two keys that lasts half an hour."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from contextlib import suppress
from email.utils import parsedate_to_datetime

from services.worker.settings.vendors import KlingSettings

# As documented: valid for half an hour, and from a little before, because clocks differ.
LIFE_SECONDS, EARLY_SECONDS = 1800, 5
# A token that expires sooner than this is renewed.
REST_SECONDS = 300


class Keys:
    """The value of `Authorization`; a token is made and renewed by the vendor's clock."""

    def __init__(self, settings: KlingSettings, *, now: Callable[[], float] = time.time) -> None:
        access, secret, key = (
            each.get_secret_value() if each else ""
            for each in (
                settings.kling_access_key,
                settings.kling_secret_key,
                settings.kling_api_key,
            )
        )
        self._access, self._secret = access, secret
        self._now = now
        # By how many seconds the vendor's clock is ahead of this machine's.
        self._ahead = 0.0
        self._header = f"Bearer {key}"
        self._made_at = float("-inf")

    def header(self) -> str:
        """Return the header: a new token if the old one is due, or our clock was set back."""
        age = self._now() - self._made_at
        if self._secret and not 0 <= age < LIFE_SECONDS - REST_SECONDS:
            self._make()
        return self._header

    def renew(self, refused: str, date: str) -> bool:
        """Return whether there is another token than the refused one; `date`: the date of the
        refusal.

        A token is made once for all calls that had the old one.
        """
        if self._secret and refused == self._header:
            with suppress(ValueError, TypeError, OverflowError):
                self._ahead = parsedate_to_datetime(date).timestamp() - self._now()
            self._make()
        return bool(self._secret)

    def _make(self) -> None:
        self._made_at = self._now()
        now = int(self._made_at + self._ahead)
        claims = {"iss": self._access, "exp": now + LIFE_SECONDS, "nbf": now - EARLY_SECONDS}
        self._header = f"Bearer {jwt_of(claims, self._secret)}"


def jwt_of(claims: dict[str, object], secret: str) -> str:
    parts = [
        _encoded(json.dumps(each, separators=(",", ":")).encode())
        for each in ({"alg": "HS256", "typ": "JWT"}, claims)
    ]
    mac = hmac.new(secret.encode(), ".".join(parts).encode(), hashlib.sha256).digest()
    return ".".join([*parts, _encoded(mac)])


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
