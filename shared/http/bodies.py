"""Refuse bodies that are not JSON, too large, or hold too many values, before they are read."""

import json
import re
from collections.abc import Mapping
from typing import NamedTuple

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.errors import BodyTooLarge, NotJson
from shared.http.mistakes import mistakes_of
from shared.http.problems import Refusal, answer, invalid_input, refusal_of

_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)


def require_json(headers: Headers) -> None:
    """Raise NotJson unless the media type is `application/json` or one of its kinds."""
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if not re.fullmatch(r"application/(json|\S+\+json)", media_type):
        raise NotJson("Content-Type: application/json.")


class Limit(NamedTuple):
    """The limit of a body. If `values` is None, the reader limits them."""

    size: int
    values: int | None = 20_000


class BoundedBody:
    """Refuse a body that is too large with 413, and one with too many JSON values with 422.

    Reporting a mistake in each of half a million values takes gigabytes and seconds. `limits` are
    by path prefix; the first match counts.
    """

    def __init__(self, inner: ASGIApp, limits: Mapping[str, Limit]) -> None:
        self._inner = inner
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        limit = self._limit_of(scope)
        if limit is None:
            await self._inner(scope, receive, send)
            return
        found: bytes | Refusal | None = b""
        if _announced(scope) > limit.size:
            found = refusal_of(BodyTooLarge(f"At most {limit.size} bytes."))
        elif limit.values is not None:
            found = await _looked_at(receive, limit.size, limit.values)
            receive = _again(found, receive)
        if isinstance(found, Refusal):
            await answer(scope, found)(scope, receive, send)
        else:
            await self._inner(scope, receive, send)

    def _limit_of(self, scope: Scope) -> Limit | None:
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD", "OPTIONS"):
            return None
        fits = (self._limits[each] for each in self._limits if scope["path"].startswith(each))
        return next(fits, None)


def _announced(scope: Scope) -> int:
    length = Headers(scope=scope).get("content-length", "")
    return int(length) if length.isascii() and length.isdigit() and len(length) < 20 else 0


async def _looked_at(receive: Receive, size: int, values: int) -> bytes | Refusal | None:
    """Return the body, the reason to refuse it, or None if the sender has gone."""
    body = bytearray()
    more = True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > size:
            return refusal_of(BodyTooLarge(f"At most {size} bytes."))
    return _too_many(bytes(body), values) or bytes(body)


def _again(found: bytes | Refusal | None, receive: Receive) -> Receive:
    waiting: list[Message] = [
        {"type": "http.request", "body": found, "more_body": False}
        if isinstance(found, bytes)
        else {"type": "http.disconnect"}
    ]

    async def replay() -> Message:
        return waiting.pop() if waiting else await receive()

    return replay


def _too_many(body: bytes, most: int) -> Refusal | None:
    """Return the refusal of a body with too many values. A value follows each comma and each
    opening bracket outside of strings."""
    # Decode as the parser does, which takes UTF-16, too.
    if (encoding := json.detect_encoding(body)) != "utf-8":
        body = body.decode(encoding, "replace").encode("utf-8", "replace")
    if body.lstrip()[:1] not in (b"[", b"{"):
        return None
    marks = _STRING.sub(b"", body)
    if sum(map(marks.count, (b",", b"[", b"{"))) <= most:
        return None
    wrong = {"type": "too_many_values", "loc": ("body",), "ctx": {"most": most}}
    return invalid_input(mistakes_of([wrong]))
