"""A browser's session: what stands for the token where a page can't send it, signed, and not it."""

import hashlib
import hmac
import time

from starlette.requests import cookie_parser
from starlette.responses import Response

from services.api.settings import ApiSettings
from shared.errors import GenvideoError

SECONDS = 12 * 3600
# The only path at which a session is no substitute for the token: it would never end otherwise.
PATH = "/session"


class TokenMissing(
    GenvideoError, code="token_missing", status=401, title="The token is missing or wrong"
):
    """With API_TOKEN set, whoever changes something shows it; at an exposed API everybody does."""


class Sessions:
    """Makes and checks cookies by a key that is derived from API_TOKEN; another token ends all."""

    def __init__(self, settings: ApiSettings) -> None:
        token = settings.api_token
        known = b"" if token is None else token.get_secret_value().encode()
        self._key = hmac.digest(known, b"genvideo api session", "sha256")
        self._secure = settings.public_url.startswith("https://")
        # Cookies are shared by all ports of a host, and so by all stacks of a machine.
        self._name = f"genvideo-session-{settings.api_port}"

    def begin(self, response: Response) -> None:
        """Have the browser keep a new session."""
        response.set_cookie(
            self._name,
            self._signed(str(int(time.time()) + SECONDS)),
            max_age=SECONDS,
            httponly=True,
            samesite="strict",
            secure=self._secure,
        )

    def fits(self, cookies: str) -> bool:
        """Whether a session of ours that has not ended is among these cookies."""
        given = cookie_parser(cookies).get(self._name, "")
        end, _, _ = given.partition(".")
        expected = self._signed(end).encode()
        genuine = hmac.compare_digest(given.encode("utf-8", "replace"), expected)
        return genuine and end.isascii() and end.isdigit() and time.time() < int(end)

    def _signed(self, end: str) -> str:
        signature = hmac.new(self._key, end.encode("utf-8", "replace"), hashlib.sha256)
        return f"{end}.{signature.hexdigest()}"
