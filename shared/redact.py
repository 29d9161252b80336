"""Clean a vendor's text for display: without secrets, on one line, without Markdown."""

import re
from urllib.parse import urlsplit

HIDDEN = "…"
LONGEST = 500
# The rest of a longer text is dropped.
_READ = 4 * LONGEST

# Everything before the host and after the path: a password, a token, a signature.
_URL = re.compile(
    r"\b(?P<scheme>[a-z][a-z0-9+.-]{0,20})://(?:[^\s/@?#\"'<>]*@)?"
    r"(?P<place>[^\s?#\"'<>]*)(?P<query>[?#][^\s\"'<>]*)?",
    re.IGNORECASE,
)
# A named secret with its value: `api_key=…`, `"token": "…"`, `invalid API key: …`.
_NAMED = re.compile(
    r"(?P<name>(?:token|secret|password|passwd|signature|credentials?|authorization|"
    r"(?:api|access|private|account)[ _-]?key|(?<![A-Za-z])(?:key|sig))[\w.-]{0,20}"
    r"[\"']?\s*[:=]\s*[\"']?)"
    r"(?:(?:bearer|basic)\s+)?[^\s\"',;&)}\]]+",
    re.IGNORECASE,
)
# A cookie's value has pairs of its own.
_COOKIE = re.compile(r"\b(?P<name>cookie[\"']?\s*:\s*[\"']?)[^\"']+", re.IGNORECASE)
_BEARER = re.compile(r"\b(?P<name>bearer|basic)\s+[^\s\"',;]+", re.IGNORECASE)
_JWT = re.compile(r"\beyJ[\w-]+\.[\w-]+(?:\.[\w-]*)?")
# Long and mixed like a key; a UUID is the vendor's id of something, and our own ids are shorter.
_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?![\w-])"
_RANDOM = re.compile(
    rf"(?<![\w-])(?!(?i:{_UUID}))(?=[\w-]*\d)(?=[\w-]*[A-Za-z])[A-Za-z0-9_-]{{32,}}"
)
# A server's own folders; the file's name is enough.
_PATH = re.compile(r"(?<![\w/.…])(?:/[\w.@+-]+)+/(?P<file>[\w.@+-]+)")
# In quotes it may have blanks; of a `file:` address everything before the name goes.
_QUOTED = re.compile(
    r"(?P<quote>['\"])(?:/|[A-Za-z]:\\|\\\\)[^'\"\n]{0,400}[/\\](?P<file>[^'\"/\\\n]+)(?P=quote)"
)
_FILE = re.compile(r"\bfile:/{1,3}(?:[^\s'\"/]+/)*(?P<file>[^\s'\"/]+)", re.IGNORECASE)
# Windows paths, also with doubled backslashes.
_DRIVE = re.compile(
    r"(?:\b[A-Za-z]:|(?<!\\)\\{2}[\w.-]+)(?:\\{1,2}[\w.@+ -]+){0,50}\\{1,2}(?P<file>[\w.@+-]+)"
)


def redacted(text: str) -> str:
    """Return the text on one line, at most 500 characters, without possible keys, signatures and
    paths."""
    text = _FILE.sub(rf"{HIDDEN}/\g<file>", printable(text[:_READ]))
    text = _QUOTED.sub(rf"\g<quote>{HIDDEN}/\g<file>\g<quote>", text)
    text = _URL.sub(_bare, text)
    text = _JWT.sub(HIDDEN, text)
    text = _COOKIE.sub(rf"\g<name>{HIDDEN}", text)
    text = _NAMED.sub(rf"\g<name>{HIDDEN}", text)
    text = _BEARER.sub(rf"\g<name> {HIDDEN}", text)
    text = _RANDOM.sub(HIDDEN, text)
    text = _PATH.sub(rf"{HIDDEN}/\g<file>", text)
    text = _DRIVE.sub(rf"{HIDDEN}/\g<file>", text)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + HIDDEN


def printable(text: str) -> str:
    """Return the text on one line, without terminal codes and marks that reverse text."""
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())


# In these places a character is Markdown; bare addresses become links, too.
_MARKUP = re.compile(
    r"[\\`*\[\]<~|@$]|(?<![^\W_])_|_(?![^\W_])|^[-+=#>]|&(?=#?\w+;)|:(?=//)|(?<=\bmailto):|(?<=\bxmpp):"
    r"|(?<=\bwww)\.",
    re.IGNORECASE,
)
_NUMBERED = re.compile(r"^(\d{1,9})([.)])(?=\s|$)")


def as_markdown(text: str) -> str:
    """Return Markdown that shows a text unchanged, on one line."""
    line = " ".join(text.split())
    return _NUMBERED.sub(r"\1\\\2", _MARKUP.sub(r"\\\g<0>", line))


def _bare(found: re.Match[str]) -> str:
    query = f"?{HIDDEN}" if found["query"] else ""
    return f"{found['scheme']}://{found['place']}{query}"


def is_plain(url: str) -> bool:
    """True if an address has no password, no query and no fragment."""
    parts = urlsplit(url)
    return not (parts.query or parts.fragment or "@" in parts.netloc)
