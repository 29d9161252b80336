"""Checks the caller's key or JWT (documented, not captured).

A JWT's window runs by the vendor's clock. What a key of another region is told was told by a
caller of the vendor's, in words of its own.
"""

import time
from collections import OrderedDict
from typing import Any, NamedTuple, TypeGuard

import jwt

from services.mock_core.lib.clock import Clock
from services.mock_kling.config import KlingConfig

_KEPT = 1_000
_BEARER = "bearer "
WRONG, EMPTY, INVALID, NOT_YET_VALID, EXPIRED = 1000, 1001, 1002, 1003, 1004


class Wrong(NamedTuple):
    """The vendor's code for a header; its message where that isn't the table's."""

    code: int
    message: str | None = None


UNKNOWN_KEY = Wrong(INVALID, "api key not found")


class TokenCheck:
    """A token's remaining life is measured when it is first seen and used up in nominal time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        # token -> nominal instant of its end
        self._ends: OrderedDict[str, float] = OrderedDict()

    def refusal(self, header: str | None, settings: KlingConfig) -> Wrong | None:
        """What is wrong with an Authorization header, or None."""
        if not header:
            return Wrong(EMPTY)
        if not header.lower().startswith(_BEARER):
            return Wrong(INVALID)
        token = header[len(_BEARER) :].strip()
        if not _is_jwt(token):
            known = token == settings.api_key and settings.address != "other-region"
            return None if known else UNKNOWN_KEY
        claims = _claims(token, settings.secret_key)
        if isinstance(claims, int):
            return Wrong(claims)
        if claims.get("iss") != settings.access_key or settings.address == "other-region":
            return Wrong(WRONG)
        code = self._outside(token, claims, settings.clock_skew)
        return None if code is None else Wrong(code)

    def _outside(self, token: str, claims: dict[str, Any], skew: float) -> int | None:
        begins, ends = claims.get("nbf", 0), claims.get("exp")
        if not _is_number(begins) or not _is_number(ends):
            return INVALID
        wall = time.time() + skew
        if begins > wall:
            return NOT_YET_VALID
        end = self._ends.get(token)
        if end is None:
            end = self._clock.now() + ends - time.time()
            self._ends[token] = end
            if len(self._ends) > _KEPT:
                self._ends.popitem(last=False)
        return EXPIRED if self._clock.now() + skew >= end else None


def _is_jwt(token: str) -> bool:
    return token.count(".") == 2


def _claims(token: str, secret_key: str) -> dict[str, Any] | int:
    """What the token says, whenever it is valid; else the code of the mistake."""
    try:
        return dict(
            jwt.decode(
                token,
                secret_key,
                algorithms=["HS256"],
                options={"verify_exp": False, "verify_nbf": False, "verify_iat": False},
            )
        )
    except jwt.InvalidSignatureError:
        return WRONG
    except (jwt.InvalidTokenError, ValueError):
        return INVALID


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
