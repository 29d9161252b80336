"""Make one call to a vendor and read its answer: unencoded, small, in time, in valid Unicode.

Failures are classified here; an unlisted one counts as outcome unknown.
"""

import asyncio
import gc
import json
import re
from collections.abc import Mapping
from typing import Any

import httpx

from shared.errors import NeverDelivered, OutcomeUnknown, RefusedForGood, RefusedForNow, VendorError
from shared.http.client import CLEARING_STATUSES, CONNECT_SECONDS, NOT_SENT, is_identity, pieces
from shared.pipeline.vendor import LOST, MAX_ID, State, VendorStatus, check_about
from shared.redact import redacted

# A hundred times the longest answer of our vendors.
MAX_BYTES = 1024 * 1024
# Failures keep the frames that raised them, and answers with them, until the collector's rare full
# pass. So there is one before each answer of this size.
LARGE_BYTES = 64 * 1024
# From the first byte of the call to the last one of the answer.
ANSWER_SECONDS = 30.0
# The speed of a slow line, in bytes of a file a second.
SLOWEST = 50_000
# What a call raises without an answer; httpx raises InvalidURL for some redirects, which it parses
# although it follows none.
UNREADABLE = (httpx.HTTPError, httpx.InvalidURL)
# The headers that are read from an answer.
KEPT = (b"retry-after", b"date")


async def ask(
    http: httpx.AsyncClient,
    method: str,
    path: str,
    *,
    most: int = MAX_BYTES,
    sent_bytes: int = 0,
    **kwargs: Any,
) -> httpx.Response:
    """Return the whole answer; a refusal with an unreadable body counts by its status only.

    Raise a VendorError if there is no answer, and OutcomeUnknown for one that is encoded, longer
    than `most` bytes, or not whole after ANSWER_SECONDS. A file that is sent adds the time that it
    takes on a slow line.
    """
    seconds = ANSWER_SECONDS + sent_bytes / SLOWEST
    if sent_bytes:
        kwargs["timeout"] = httpx.Timeout(seconds, connect=CONNECT_SECONDS)
    try:
        async with (
            asyncio.timeout(seconds),
            http.stream(method, path, **kwargs) as response,
        ):
            body = await _read(response, most)
    except UNREADABLE as error:
        raise sort_exception(error) from None
    except TimeoutError:
        raise OutcomeUnknown(f"No whole answer within {seconds:g} s.") from None
    return httpx.Response(
        response.status_code,
        # As bytes, because they may be no ASCII.
        headers=[each for each in response.headers.raw if each[0].lower() in KEPT],
        content=body,
    )


async def _read(response: httpx.Response, most: int) -> bytes:
    try:
        return await _bounded(response, most)
    except OutcomeUnknown:
        if response.is_success:
            raise
        return b""


async def _bounded(response: httpx.Response, most: int) -> bytes:
    if not is_identity(response):
        raise OutcomeUnknown("The vendor's answer is encoded, which was not asked for.")
    body = bytearray()
    async for piece in pieces(response):
        body += piece
        if len(body) - len(piece) <= LARGE_BYTES < len(body):
            gc.collect()
        if len(body) > most:
            # The error's frames would keep it.
            body.clear()
            raise OutcomeUnknown(f"The vendor's answer is larger than {most} bytes.")
    return bytes(body)


LONGEST_CODE = 20
# What the values of a JSON text take in memory, in bytes, by what begins them; a text whose values
# take more is not read. Strings may have these characters, too.
VALUES = {b",": 60, b"[": 60, b"{": 250}
MOST_MEMORY = 10_000_000
# Whole pairs come first, then halves. Everything up to the next of them is one match, so that a
# text of escapes takes no memory for each; `\\` may stand before a `u`.
_ESCAPES = re.compile(
    r"(?:[^\\]|\\(?!ud[89a-f]).)++"
    r"|\\ud[89ab][0-9a-f]{2}\\ud[c-f][0-9a-f]{2}|(?P<half>\\ud[89a-f][0-9a-f]{2})|.",
    re.IGNORECASE | re.DOTALL,
)
# The pause after a refusal without a time.
POOL_PAUSE_SECONDS = 1.0


def sort_exception(error: Exception) -> VendorError:
    """Classify a transport failure: the request never left, or its outcome is unknown."""
    kind = NeverDelivered if isinstance(error, NOT_SENT) else OutcomeUnknown
    return kind(redacted(f"{type(error).__name__}: {error}".rstrip(": ")))


Codes = Mapping[int, type[VendorError]]
NO_CODES: Codes = {}


def sort_response(response: httpx.Response, codes: Codes = NO_CODES) -> VendorError:
    """Classify an answer that is no success, by the code in its body, else by its HTTP status."""
    body, status = json_object(response) or {}, response.status_code
    code = as_text(body.get("code", "-"))
    known = code.isascii() and code.isdigit() and len(code) <= LONGEST_CODE
    kind = codes.get(int(code)) if known else None
    if kind is None and status in CLEARING_STATUSES:
        kind = RefusedForNow
    elif kind is None:
        kind = RefusedForGood if 400 <= status < 500 else OutcomeUnknown
    pause = None
    if kind is RefusedForNow:
        wanted = response.headers.get("retry-after", "")
        is_number = wanted.isascii() and wanted.isdigit()
        pause = min(float(wanted), 60.0) if is_number else POOL_PAUSE_SECONDS
    message = as_text(body.get("detail") or body.get("message") or response.reason_phrase)
    what = redacted(f"HTTP {status}, code {code[:LONGEST_CODE]}: {message}")
    return kind(what, retry_after=pause)


def body_of(response: httpx.Response, codes: Codes = NO_CODES) -> dict[str, Any]:
    """Return the body of a success; raise a VendorError for any other answer."""
    if not response.is_success:
        raise sort_response(response, codes)
    body = json_object(response)
    if body is None:
        raise OutcomeUnknown("The vendor's answer is not a JSON object.")
    return body


def id_of(body: object, name: str) -> str:
    """Return the vendor's id from the answer to a submit.

    Raise OutcomeUnknown if there is none that can be stored and asked for.
    """
    found = member(body, name)
    if not isinstance(found, str) or not 0 < len(found) <= MAX_ID or LOST in found:
        raise OutcomeUnknown(f"The submit was answered without its {name}.")
    return found


def status_of(
    asked: str,
    *,
    ours: object,
    state: object,
    states: Mapping[str, State],
    percent: Any = 0,
    message: object = "",
    **found: Any,
) -> VendorStatus:
    """Return what an answer says of the generation `asked`; `ours` is our id in it, if any.

    A state that is not in `states` counts as running, and a percent that is no number as 0, because
    it is only shown. Raise OutcomeUnknown if another field is invalid, or the answer is about
    another generation.
    """
    found["state"] = states.get(as_text(state), "running")
    try:
        done = max(0, min(100, int(percent)))
    except (ValueError, TypeError, OverflowError):
        done = 0
    try:
        status = VendorStatus(percent=done, message=redacted(as_text(message or "")), **found)
    except ValueError:
        raise OutcomeUnknown("The vendor's status answer has an unexpected form.") from None
    check_about(asked, (status.vendor_id, ours))
    return status


def json_object(response: httpx.Response) -> dict[str, Any] | None:
    """Return the body; None if it is not a JSON object, has too many values or is nested too
    deeply."""
    if sum(size * response.content.count(mark) for mark, size in VALUES.items()) > MOST_MEMORY:
        return None
    body = parsed(response.content.decode("utf-8-sig", "replace"))
    return body if isinstance(body, dict) else None


def parsed(text: str) -> Any:
    """Parse a vendor's JSON text into valid Unicode; None if that is impossible.

    An escape may be half of a UTF-16 pair, which can be neither stored nor sent.
    """
    try:
        return json.loads(_ESCAPES.sub(lambda it: LOST if it["half"] else it[0], text))
    except (ValueError, RecursionError):
        return None


def member(value: object, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None


def as_text(value: object) -> str:
    try:
        return str(value)
    except (ValueError, RecursionError):
        return type(value).__name__
