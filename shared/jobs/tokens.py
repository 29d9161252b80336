"""What comes of CALLBACK_SECRET: a token per task, and the operator's key; neither tells of it.

A secret may be several with commas between them: the first makes, all are recognized. Tokens are
derived and never stored, so that no history or log holds one.
"""

import hashlib
import hmac
from urllib.parse import urlencode

_TOKENS = "genvideo: callback tokens"
_OPERATOR = "genvideo: operator"


def secrets_of(secret: str) -> list[str]:
    """The secrets of the setting, the one that makes tokens first."""
    return secret.split(",")


def callback_token(secret: str, external_id: str) -> str:
    """The unguessable token of one task: HMAC-SHA256 over our id of it, in hex."""
    return _mac(_derived(secrets_of(secret)[0], _TOKENS), external_id).hex()


def callback_url(base: str, secret: str, external_id: str, vendor: str = "kling") -> str:
    """Where a vendor reports one task; task and token are readable before any body is parsed."""
    query = urlencode({"task": external_id, "token": callback_token(secret, external_id)})
    return f"{base.rstrip('/')}/callback/{vendor}?{query}"


def token_fits(secret: str, external_id: str, token: str) -> bool:
    """Whether a token is one of this task, compared in constant time."""
    given = token.encode("utf-8", "replace")
    # A list: all of them are compared, whichever fits.
    keys = (_derived(each, _TOKENS) for each in secrets_of(secret))
    expected = [_mac(key, external_id).hex().encode() for key in keys]
    return any([hmac.compare_digest(each, given) for each in expected])


def operator_key(secret: str) -> str:
    """What an operator shows instead of the secret; with another first secret it is another one."""
    return _derived(secrets_of(secret)[0], _OPERATOR).hex()


def _derived(secret: str, label: str) -> bytes:
    return _mac(secret.encode(), label)


def _mac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()
