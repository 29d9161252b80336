"""The tag of a job, for rules that match by it: a header, or the first `#word` of the prompt."""

import re

from fastapi import Request

_WORD = re.compile(r"(?:^|\s)#([\w.-]{1,64})")
HEADER = "x-mock-tag"


def find_tag(request: Request, prompt: str) -> str:
    """The header `X-Mock-Tag` wins; empty when there is neither."""
    named = request.headers.get(HEADER, "")
    if named:
        return named[:64]
    found = _WORD.search(prompt)
    return found[1] if found else ""
