"""The token in a task's callback URL; derived, never stored, so no history or log holds it."""

import hashlib
import hmac
from urllib.parse import urlencode


def callback_token(secret: str, external_id: str) -> str:
    """The unguessable token of one task: HMAC-SHA256 over our id of it, in hex."""
    return hmac.new(secret.encode(), external_id.encode(), hashlib.sha256).hexdigest()


def callback_url(base: str, secret: str, external_id: str) -> str:
    """Where the vendor reports one task; task and token are readable before any body is parsed."""
    query = urlencode({"task": external_id, "token": callback_token(secret, external_id)})
    return f"{base.rstrip('/')}/callback/kling?{query}"


def token_fits(secret: str, external_id: str, token: str) -> bool:
    """Whether a token is the one of this task, compared in constant time."""
    expected = callback_token(secret, external_id)
    return hmac.compare_digest(expected.encode(), token.encode("utf-8", "replace"))
