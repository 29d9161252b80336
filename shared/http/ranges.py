"""Serve bytes whole or in one range, unless the caller has them; a refused range is a problem."""

import asyncio
import mimetypes
import re
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path

from fastapi import Request, Response
from fastapi.responses import StreamingResponse

from shared.errors import GenvideoError
from shared.http.problems import from_error

PIECE = 1024 * 1024
# Units have no case. A number of more digits than Python reads at once is no range.
_RANGE = re.compile(r"bytes=(\d{0,4000})-(\d{0,4000})", re.ASCII | re.IGNORECASE)
# Reads the bytes from one place, before another one; it may block.
Read = Callable[[int, int], bytes]


class RangeNotSatisfiable(GenvideoError, status=416, title="The range does not fit"):
    """`Range` asks for bytes that the file does not have."""


async def ranged_file(
    request: Request, path: Path, headers: Mapping[str, str], *, media_type: str | None = None
) -> Response:
    """Return a file of this machine; its name tells the media type by default."""

    def read(start: int, end: int) -> bytes:
        with path.open("rb") as file:
            file.seek(start)
            return file.read(end - start)

    status = await asyncio.to_thread(path.stat)
    return await ranged(
        request,
        read,
        size=status.st_size,
        tag=f"{status.st_mtime_ns:x}-{status.st_size:x}",
        modified=datetime.fromtimestamp(status.st_mtime, UTC),
        headers=headers,
        media_type=media_type or mimetypes.guess_type(path)[0],
    )


async def ranged(
    request: Request,
    read: Read,
    *,
    size: int,
    tag: str,
    modified: datetime,
    headers: Mapping[str, str],
    media_type: str | None,
) -> Response:
    """Return all bytes, or one range of them; all for several or an invalid one (RFC 9110, 14.2).

    Raises what `read` raises before anything is sent.
    """
    head = {
        "Accept-Ranges": "bytes",
        "ETag": '"' + re.sub(r"[^\w-]", "", tag) + '"',
        "Last-Modified": format_datetime(modified, usegmt=True),
        **headers,
    }
    # The caller has it, by one of several tags, or by one that a proxy weakened.
    known = request.headers.get("if-none-match", "").split(",")
    if not {"*", head["ETag"]}.isdisjoint(each.strip().removeprefix("W/") for each in known):
        return Response(status_code=304, headers={"ETag": head["ETag"], **headers})
    start, end, status = 0, size, 200
    fits = _RANGE.fullmatch(request.headers.get("range", "").strip())
    first, last = fits.groups() if fits else ("", "")
    backwards = first and last and int(last) < int(first)
    # The caller's part is of this very file.
    same = request.headers.get("if-range", head["ETag"]) in (head["ETag"], head["Last-Modified"])
    if (first or last) and not backwards and same:
        start = int(first) if first else max(0, size - int(last))
        end = min(size, int(last) + 1) if first and last else size
        if start >= size:
            return from_error(
                RangeNotSatisfiable(f"The file has {size} bytes."),
                {"Content-Range": f"bytes */{size}"},
            )
        head["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
        status = 206
    head["Content-Length"] = str(end - start)
    if request.method == "HEAD" or start == end:
        return Response(status_code=status, headers=head, media_type=media_type)
    first_piece = await asyncio.to_thread(read, start, min(end, start + PIECE))

    async def body() -> AsyncIterator[bytes]:
        yield first_piece
        for place in range(start + PIECE, end, PIECE):
            yield await asyncio.to_thread(read, place, min(end, place + PIECE))

    return StreamingResponse(body(), status, headers=head, media_type=media_type)
