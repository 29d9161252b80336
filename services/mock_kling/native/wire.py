"""What all calls of the vendor's own wire share (documented, not captured)."""

import itertools
import time
from collections import OrderedDict
from typing import Any, NamedTuple, TypeGuard, cast

import jwt
from fastapi import Depends, Request
from starlette.responses import JSONResponse, Response

from services.mock_core.clock import Clock
from services.mock_core.ledger import Generation
from services.mock_core.mock import Mock, TheMock
from services.mock_core.problems import Problem, in_words_of
from services.mock_kling.orders import resolve
from services.mock_kling.settings import KlingConfig

_KEPT = 1_000
_BEARER = "bearer "
WRONG, EMPTY, INVALID, NOT_YET_VALID, EXPIRED = 1000, 1001, 1002, 1003, 1004


class Wrong(NamedTuple):
    """The vendor's code for a header, and a message that differs from the table's."""

    code: int
    message: str | None = None


UNKNOWN_KEY = Wrong(INVALID, "api key not found")


class TokenCheck:
    """Check tokens; a token's remaining life is measured at its first use, and then passes in
    nominal time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        # token -> nominal time of its end
        self._ends: OrderedDict[str, float] = OrderedDict()

    def refusal(self, header: str | None, settings: KlingConfig) -> Wrong | None:
        """Return what is wrong with an Authorization header, or None."""
        if not header:
            return Wrong(EMPTY)
        if not header.lower().startswith(_BEARER):
            return Wrong(INVALID)
        token = header[len(_BEARER) :].strip()
        # Not a JWT.
        if token.count(".") != 2:
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


def _claims(token: str, secret_key: str) -> dict[str, Any] | int:
    """Return the token's claims, whether valid now or not; else the code of the mistake."""
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


BAD_BODY, BAD_MEMBER, NO_METHOD, NO_RESOURCE = 1200, 1201, 1202, 1203
_BLOCKED = 446
_PAGE = "<html><head><title>Kling AI</title></head><body></body></html>"
_requests = itertools.count(1)


def _error(code: int | str, message: str, request: str = "req-000000000017") -> dict[str, Any]:
    return {"code": int(code), "message": message, "request_id": request}


ERRORS = in_words_of(
    {
        "type": "object",
        "properties": {
            "code": {"type": "integer"},
            "message": {"type": "string"},
            "request_id": {"type": "string"},
        },
        "required": ["code", "message", "request_id"],
        "additionalProperties": False,
    },
    *(400, 401, 403, 404, 429, 500, 503, 504),
    example=lambda status: _error(*resolve(status, None)[1:]),
)


class Instead(Exception):
    """Something else than the API answers; `reply` is sent as it is."""

    def __init__(self, reply: Response) -> None:
        super().__init__()
        self.reply = reply


def settings_of(mock: Mock) -> KlingConfig:
    """Return what can be changed while the service runs."""
    return cast(KlingConfig, mock.config)


def found(mock: Mock, any_id: str) -> Generation | None:
    """Find a task by the vendor's id, or by the caller's, as far as the vendor can."""
    task = mock.ledger.find(any_id)
    if task is None or task.id == any_id:
        return task
    look_up = settings_of(mock).look_up
    age = time.time() - (task.accepted or 0.0)
    late = age >= mock.clock.to_real(look_up.lag)
    return task if look_up.by_external_id and late else None


def request_id() -> str:
    """Return a new id for each answer."""
    return f"req-{next(_requests):012d}"


def succeed(data: object) -> Response:
    """Send a successful answer."""
    return JSONResponse({"code": 0, "message": "SUCCEED", "request_id": request_id(), "data": data})


def refuse(
    status: int | None, code: int | str | None, message: str | None, headers: dict[str, str]
) -> Response:
    """Send an error without `data`; missing members come from the table."""
    if code is not None and not str(code).isdecimal():
        code = None
    # The framework's refusals in the vendor's words: a bad member or body, a bad method.
    if status in (413, 422):
        is_whole = status == 413 or (message or "").startswith("body: ")
        status, code = 400, BAD_BODY if is_whole else BAD_MEMBER
    elif status == 405:
        status, code = 404, NO_METHOD
    status, code, usual = resolve(status, code)
    body = _error(code, message or usual, request_id())
    return JSONResponse(body, status_code=status, headers=headers)


async def authorized(request: Request, mock: TheMock) -> None:
    """Refuse unknown callers before anything is read."""
    settings = settings_of(mock)
    if settings.address == "page":
        raise Instead(Response(_PAGE, media_type="text/html"))
    if settings.address == "blocked":
        raise Instead(Response(_PAGE, _BLOCKED, media_type="text/html"))
    tokens: TokenCheck = request.app.state.tokens
    wrong = tokens.refusal(request.headers.get("authorization"), settings)
    if wrong is not None:
        status, code, usual = resolve(None, wrong.code)
        raise Problem(status, code, detail=wrong.message or usual)


Authorized = Depends(authorized)


async def answered_instead(_: Request, error: Exception) -> Response:
    """Send the answer that replaces the API."""
    assert isinstance(error, Instead)  # noqa: S101 - registered for this type alone
    return error.reply
