"""Serves a finished file, whole or a range of it, as the fault plan lets it."""

from typing import Any

from starlette.responses import Response

from services.mock_core.broken import TornResponse
from services.mock_core.faults.kinds import Where
from services.mock_core.faults.plan import Hit
from services.mock_core.files import StoredFile
from services.mock_core.mock import Mock
from services.mock_core.problems import Problem
from services.mock_core.wire import disturb_reply, disturb_request

_DAY = 86_400.0


async def serve_file(mock: Mock, name: str, *, range_header: str | None) -> Response:
    """The stored file; 404 when there is none or it has expired, 416 for a range outside it."""
    file = mock.files.get(name)
    if file is None:
        raise Problem(404, "not_found", detail=f"no file {name}")
    hits: tuple[Hit, ...] = ()
    if file.generation is not None:
        hits = mock.plan.hits(Where.RESULT, file.generation)
    if _expired(mock, file):
        mock.fetched_late.add(name)
        raise Problem(404, "expired", detail=f"{name} has been cleared")
    instead = await disturb_request(_with_404(hits), mock.clock, shape=mock.refusal)
    if instead is not None and not any(hit.do == "reset" for hit in hits):
        return instead
    mock.files.note_fetch(name)
    reply = _damaged(file, hits, _ranged(file, range_header))
    return await disturb_reply(hits, mock.clock, reply=reply, shape=mock.refusal)


def _expired(mock: Mock, file: StoredFile) -> bool:
    return mock.clock.now() - file.made_at > mock.settings.mock_result_days * _DAY


def _with_404(hits: tuple[Hit, ...]) -> list[Hit]:
    """A refused file is a missing one unless the rule says otherwise."""
    return [
        Hit(hit.do, hit.params.model_copy(update={"status": 404}), hit.chance, hit.rule)
        if hit.do == "refuse" and hit.params.status is None and hit.params.code is None
        else hit
        for hit in hits
    ]


def _damaged(file: StoredFile, hits: tuple[Hit, ...], reply: Response) -> Response:
    for hit in hits:
        match hit.do:
            case "truncate":
                reply = _file(file.body[: int(len(file.body) * hit.params.keep)], file.media_type)
            case "empty":
                reply = _file(b"", file.media_type)
            case "wrong-type":
                reply.headers["content-type"] = hit.params.content_type
            case "reset":
                reply = TornResponse(reply, 0.5)
    return reply


def _file(body: bytes, media_type: str) -> Response:
    return Response(body, media_type=media_type, headers={"Accept-Ranges": "bytes"})


def _ranged(file: StoredFile, header: str | None) -> Response:
    """One range of bytes; anything else that is asked for gets the whole file, as HTTP allows."""
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
    if not header or not header.startswith("bytes=") or "," in header:
        return None
    first, dash, last = header[6:].strip().partition("-")
    if not dash or not (first or last) or not all(t.isdecimal() for t in (first, last) if t):
        return None
    if not first:
        return max(size - int(last), 0), size - 1
    return int(first), min(int(last) if last else size - 1, size - 1)
