"""Checks the caller's JWT (documented, not captured); its window runs by the vendor's clock."""

import time
from collections import OrderedDict
from typing import Any, TypeGuard

import jwt

from services.mock_core.lib.clock import Clock

_KEPT = 1_000
_BEARER = "bearer "
WRONG, EMPTY, INVALID, NOT_YET_VALID, EXPIRED = 1000, 1001, 1002, 1003, 1004


class TokenCheck:
    """A token's remaining life is measured when it is first seen and used up in nominal time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        # token -> nominal instant of its end
        self._ends: OrderedDict[str, float] = OrderedDict()

    def refusal(
        self, header: str | None, *, access_key: str, secret_key: str, skew: float
    ) -> int | None:
        """The vendor's code for what is wrong with an Authorization header, or None."""
        if not header:
            return EMPTY
        if not header.lower().startswith(_BEARER):
            return INVALID
        token = header[len(_BEARER) :].strip()
        claims = _claims(token, secret_key)
        if isinstance(claims, int):
            return claims
        if claims.get("iss") != access_key:
            return WRONG
        return self._outside(token, claims, skew)

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
