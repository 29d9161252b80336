"""Whether a picture is whole, by a few of its bytes: a server that was killed keeps half files."""

from collections.abc import Mapping

import httpx

# How a PNG ends, and how a JPEG does.
IEND = b"\x00\x00\x00\x00IEND\xaeB`\x82"
END_OF_IMAGE = b"\xff\xd9"
# A WebP says at its beginning how long it is, but for these bytes.
RIFF, WEBP, BEFORE = b"RIFF", b"WEBP", 8
PART = 12


def part_of(kind: str) -> Mapping[str, str]:
    """The headers that ask for what tells it, of a file whose name ends so."""
    return {"Range": f"bytes=0-{PART - 1}" if kind == "webp" else f"bytes=-{PART}"}


async def is_whole(response: httpx.Response, kind: str) -> bool:
    """By an answer to these headers; one that gives no ranges is read to its end."""
    first, last, length = b"", b"", 0
    async for chunk in response.aiter_raw():
        first = first if len(first) >= PART else (first + chunk)[:PART]
        last = (last + chunk)[-PART:]
        length += len(chunk)
    if kind == "png":
        return last == IEND
    if kind != "webp":
        return last.endswith(END_OF_IMAGE)
    if response.status_code == httpx.codes.PARTIAL_CONTENT:
        length = _length(response.headers.get("content-range", ""))
    says = int.from_bytes(first[4:8], "little") + BEFORE
    return first.startswith(RIFF) and first.endswith(WEBP) and says == length


def _length(content_range: str) -> int:
    """Of the whole file, as `bytes 0-11/1234` has it; -1 where it isn't said."""
    told = content_range.rpartition("/")[2]
    return int(told) if told.isascii() and told.isdecimal() and len(told) < PART else -1
