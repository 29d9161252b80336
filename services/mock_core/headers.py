"""What a mock reads from a request's headers: tag, token, and the address it was reached at."""

import re

from fastapi import Request

_WORD = re.compile(r"(?:^|\s)#([\w.-]{1,64})")
HEADER = "x-mock-tag"


def find_tag(request: Request, prompt: str) -> str:
    """The header `X-Mock-Tag`, else the first `#word` of the prompt, else empty."""
    named = request.headers.get(HEADER, "")
    if named:
        return named[:64]
    found = _WORD.search(prompt)
    return found[1] if found else ""


def base_url(request: Request) -> str:
    """Where the caller reaches this mock, from the Host header, which is one of ours."""
    return f"{request.url.scheme}://{request.headers['host']}"


def slot_token(request: Request) -> int | None:
    """The fencing token of the caller, or None."""
    text = request.headers.get("x-slot-token", "")
    return int(text) if text.isdecimal() and len(text) < 19 else None
