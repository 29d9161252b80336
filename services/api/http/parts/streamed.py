"""A result of a store elsewhere, whole or one range of it, in pieces as they are asked for."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from email.utils import format_datetime

from fastapi import Request, Response
from fastapi.responses import StreamingResponse

from shared.store.protocol import Listed, Store

PIECE = 1024 * 1024
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


class Unreadable(ValueError):
    """`Range` is written in a way that nobody understands."""


class OutOfFile(ValueError):
    """`Range` asks for bytes that the file does not have."""


def head_of(found: Listed, headers: Mapping[str, str]) -> dict[str, str]:
    """The headers of the whole file."""
    return {
        "Accept-Ranges": "bytes",
        "Content-Length": str(found.size),
        "ETag": '"' + re.sub(r"[^\w-]", "", found.tag) + '"',
        "Last-Modified": format_datetime(found.modified, usegmt=True),
        **headers,
    }


async def streamed(
    store: Store,
    found: Listed,
    request: Request,
    *,
    media_type: str,
    headers: Mapping[str, str],
) -> Response:
    """The file, or the range that is asked for; the whole one where several are.

    StoreAway before anything is sent. Unreadable, OutOfFile.
    """
    head = head_of(found, headers)
    wanted = _wanted(request, head["ETag"])
    start, end = (0, found.size) if wanted is None else _within(wanted, found.size)
    if wanted is not None:
        head["Content-Range"] = f"bytes {start}-{end - 1}/{found.size}"
        head["Content-Length"] = str(end - start)
    status = 200 if wanted is None else 206
    if request.method == "HEAD" or start == end:
        return Response(status_code=status, headers=head, media_type=media_type)
    first = await _piece(store, found.key, start, end=end)
    body = _pieces(store, found.key, first, start=start, end=end)
    return StreamingResponse(body, status, headers=head, media_type=media_type)


def _wanted(request: Request, etag: str) -> str | None:
    """`Range`, unless it is for another file than this one, or asks for several parts."""
    wanted = request.headers.get("range")
    other = request.headers.get("if-range", etag) != etag
    return None if wanted is None or other or "," in wanted else wanted


def _within(wanted: str, size: int) -> tuple[int, int]:
    """Where the range begins, and what it ends before."""
    fits = _RANGE.fullmatch(wanted.strip())
    if fits is None or not any(fits.groups()):
        raise Unreadable
    first, last = fits.groups()
    start = int(first) if first else max(0, size - int(last))
    end = min(size, int(last) + 1) if first and last else size
    if first and last and int(last) < int(first):
        raise Unreadable
    if start >= size:
        raise OutOfFile
    return start, end


async def _pieces(
    store: Store, key: str, piece: bytes, *, start: int, end: int
) -> AsyncIterator[bytes]:
    while piece:
        yield piece
        start += len(piece)
        piece = await _piece(store, key, start, end=end) if start < end else b""


async def _piece(store: Store, key: str, start: int, *, end: int) -> bytes:
    return await asyncio.to_thread(store.range, key, start, min(end, start + PIECE))
