"""Keys derived from CALLBACK_SECRET: a token per task, and the operator's key; neither reveals it.

The setting may list several secrets: the first one makes tokens, all are accepted. Tokens are never
stored, so no history or log has one.
"""

import hashlib
import hmac
from urllib.parse import urlencode

_TOKENS = "genvideo: callback tokens"
_OPERATOR = "genvideo: operator"


def secrets_of(secret: str) -> list[str]:
    """Return the secrets of the setting; the one that makes tokens is first."""
    return secret.split(",")


def callback_token(secret: str, external_id: str) -> str:
    """Return the token of one task: HMAC-SHA256 of our id of it, in hex."""
    return _mac(_derived(secrets_of(secret)[0], _TOKENS), external_id).hex()


def callback_url(base: str, secret: str, external_id: str, vendor: str = "kling") -> str:
    """Return a task's callback address; task and token can be read before any body is parsed."""
    query = urlencode({"task": external_id, "token": callback_token(secret, external_id)})
    return f"{base.rstrip('/')}/callback/{vendor}?{query}"


def token_fits(secret: str, external_id: str, token: str) -> bool:
    """True if a token belongs to this task; compared in constant time."""
    given = token.encode("utf-8", "replace")
    # A list, because all of them are compared in any case.
    keys = (_derived(each, _TOKENS) for each in secrets_of(secret))
    expected = [_mac(key, external_id).hex().encode() for key in keys]
    return any([hmac.compare_digest(each, given) for each in expected])


def operator_key(secret: str) -> str:
    """Return the operator's key, which changes with the first secret."""
    return _derived(secrets_of(secret)[0], _OPERATOR).hex()


def _derived(secret: str, label: str) -> bytes:
    return _mac(secret.encode(), label)


def _mac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()
