"""How a call says whose it is: a key as it is, or a JWT of two keys that lasts a while."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Protocol

from services.worker.settings.kling import KlingSettings

# As documented: valid for half an hour, and a little before, for clocks differ.
LIFE_SECONDS, EARLY_SECONDS = 1800, 5
# A token that ends this soon is not begun with any more.
REST_SECONDS = 300

Now = Callable[[], float]


class Keys(Protocol):
    """What goes into `Authorization`."""

    def header(self) -> str:
        """Its value for the next call."""

    def renew(self, refused: str, date: str) -> bool:
        """Whether there is another one than that which was refused; `date`: the answer's own."""


class StaticKey:
    """A key that is sent as it is."""

    def __init__(self, key: str) -> None:
        self._header = f"Bearer {key}"

    def header(self) -> str:
        """Always the same."""
        return self._header

    def renew(self, refused: str, date: str) -> bool:
        """There is none."""
        return False


class SignedKeys:
    """An access key and a secret key; the token that they make is kept by the vendor's clock."""

    def __init__(self, access: str, secret: str, *, now: Now = time.time) -> None:
        self._access, self._secret = access, secret
        self._now = now
        # By how many seconds the vendor's clock is ahead of ours.
        self._ahead = 0.0
        self._header = ""
        self._made_at = 0.0

    def header(self) -> str:
        """The token that is there, or a new one where it is old or our clock was set back."""
        if not 0 <= self._now() - self._made_at < LIFE_SECONDS - REST_SECONDS:
            self._make()
        return self._header

    def renew(self, refused: str, date: str) -> bool:
        """A new one, by the time that the answer tells; once for all calls that had the old one."""
        if refused == self._header:
            seconds = _seconds(date)
            self._ahead = self._ahead if seconds is None else seconds - self._now()
            self._make()
        return True

    def _make(self) -> None:
        self._made_at = self._now()
        now = int(self._made_at + self._ahead)
        claims = {"iss": self._access, "exp": now + LIFE_SECONDS, "nbf": now - EARLY_SECONDS}
        self._header = f"Bearer {jwt_of(claims, self._secret)}"


def keys_of(settings: KlingSettings) -> Keys:
    """Those that the settings name."""
    if settings.kling_access_key is not None and settings.kling_secret_key is not None:
        access, secret = settings.kling_access_key, settings.kling_secret_key
        return SignedKeys(access.get_secret_value(), secret.get_secret_value())
    key = settings.kling_api_key
    return StaticKey(key.get_secret_value() if key else "")


def jwt_of(claims: dict[str, object], secret: str) -> str:
    """A JWT (RFC 7519) under HS256."""
    parts = [_encoded(_json(each)) for each in ({"alg": "HS256", "typ": "JWT"}, claims)]
    signed = ".".join(parts)
    mac = hmac.new(secret.encode(), signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{_encoded(mac)}"


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _seconds(date: str) -> float | None:
    try:
        return parsedate_to_datetime(date).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
