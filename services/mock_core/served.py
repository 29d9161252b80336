"""Serve a finished file, whole or in a range, as the fault plan allows."""

import re
from typing import Any

from starlette.responses import Response

from services.mock_core.broken import DrippedResponse, TornResponse
from services.mock_core.calls import disturb_reply, disturb_request
from services.mock_core.faults.fault import Where
from services.mock_core.faults.kinds import (
    ResultCorrupt,
    ResultDrip,
    ResultEmpty,
    ResultExpire,
    ResultRedirect,
    ResultReset,
    ResultSwap,
    ResultTruncate,
    ResultWrongType,
)
from services.mock_core.faults.plan import Hit
from services.mock_core.ledger.files import StoredFile
from services.mock_core.mock import Mock
from services.mock_core.problems import Problem

_DAY = 86_400.0
# No file has a size of more digits.
_RANGE = re.compile(r"bytes= *(\d{0,18})-(\d{0,18}) *", re.ASCII)
# Keep the first bytes, so that the file still has its type.
_HEAD = 16
_OTHER_BYTES = bytes(byte ^ 0xA5 for byte in range(256))


async def serve_file(mock: Mock, name: str, *, range_header: str | None) -> Response:
    """Serve the stored file; 404 if there is none or it has expired, 416 for a range outside of
    it."""
    file = mock.files.get(name)
    if file is None:
        raise Problem(404, "not_found", detail=f"no file {name}")
    hits: tuple[Hit, ...] = ()
    if file.generation is not None:
        hits = mock.plan.hits(Where.RESULT, file.generation)
    age = mock.clock.now() - file.made_at
    if age > mock.config.result_days * _DAY:
        mock.fetched_late.add(name)
        raise Problem(404, "expired", detail=f"{name} has been cleared")
    instead = _expired_or_moved(mock, name, hits, age=age)
    if instead is None:
        instead = await disturb_request(hits, mock.clock, shape=mock.refusal)
    if instead is not None:
        return instead
    mock.files.note_fetch(name)
    reply = _ranged(_spoilt(mock, name, file, hits=hits), range_header)
    reply = await disturb_reply(hits, mock.clock, reply=reply, shape=mock.refusal)
    return _with_broken_transfer(mock, hits, reply)


def _expired_or_moved(
    mock: Mock, name: str, hits: tuple[Hit, ...], *, age: float
) -> Response | None:
    """Return the answer at an expired or moved address."""
    for hit in hits:
        match hit.fault:
            case ResultRedirect(status=status, to=to):
                return Response(status_code=status, headers={"Location": to})
            case ResultExpire(status=status, seconds=seconds) if age >= seconds:
                if seconds:
                    mock.fetched_late.add(name)
                raise Problem(status, "expired", detail=f"{name} has expired")
    return None


def _spoilt(mock: Mock, name: str, file: StoredFile, *, hits: tuple[Hit, ...]) -> StoredFile:
    body, media_type = file.body, file.media_type
    for hit in hits:
        match hit.fault:
            case ResultTruncate(keep=keep):
                body = body[: int(len(body) * keep)]
            case ResultEmpty():
                body = b""
            case ResultCorrupt():
                body = body[:_HEAD] + body[_HEAD:].translate(_OTHER_BYTES)
            case ResultSwap():
                body = mock.files.another(name) or body
            case ResultWrongType(content_type=wrong):
                media_type = wrong
    return StoredFile(body, media_type, file.made_at)


def _with_broken_transfer(mock: Mock, hits: tuple[Hit, ...], reply: Response) -> Response:
    for hit in hits:
        match hit.fault:
            case ResultReset():
                return TornResponse(reply, 0.5)
            case ResultDrip(seconds=seconds, drops=drops):
                spread = seconds.at(hit.quantile)
                return DrippedResponse(reply, mock.clock, seconds=spread, drops=drops)
    return reply


def _file(body: bytes, media_type: str) -> Response:
    return Response(body, media_type=media_type, headers={"Accept-Ranges": "bytes"})


def _ranged(file: StoredFile, header: str | None) -> Response:
    """Serve one range of bytes; for any other request the whole file, as HTTP allows."""
    span = _span(header, len(file.body))
    if span is None:
        return _file(file.body, file.media_type)
    first, last = span
    size = len(file.body)
    if first >= size or last < first:
        headers = {"Content-Range": f"bytes */{size}"}
        raise Problem(416, "bad_range", detail="the range is outside the file", headers=headers)
    reply: Any = _file(file.body[first : last + 1], file.media_type)
    reply.status_code = 206
    reply.headers["Content-Range"] = f"bytes {first}-{last}/{size}"
    return reply  # type: ignore[no-any-return]


def _span(header: str | None, size: int) -> tuple[int, int] | None:
    found = _RANGE.fullmatch(header or "")
    first, last = found.groups() if found else ("", "")
    if not first and not last:
        return None
    if not first:
        return max(size - int(last), 0), size - 1
    return int(first), min(int(last) if last else size - 1, size - 1)
