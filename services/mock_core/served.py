"""Serve a finished file, whole or in a range, as the fault plan allows."""

import re

from starlette.responses import Response

from services.mock_core.broken import DrippedResponse, TornResponse
from services.mock_core.calls import disturb_reply, disturb_request
from services.mock_core.faults.kinds import Where
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
    hits = mock.plan.hits(Where.RESULT, file.generation) if file.generation is not None else ()
    age = mock.clock.now() - file.made_at
    if age > mock.config.result_days * _DAY:
        mock.fetched_late.add(name)
        raise Problem(404, "expired", detail=f"{name} has been cleared")
    for hit in hits:
        if hit.name == "result.redirect":
            return Response(status_code=hit["status"], headers={"Location": hit["to"]})
        if hit.name == "result.expire" and age >= hit["seconds"]:
            if hit["seconds"]:
                mock.fetched_late.add(name)
            raise Problem(hit["status"], "expired", detail=f"{name} has expired")
    instead = await disturb_request(hits, mock.clock, shape=mock.refusal)
    if instead is not None:
        return instead
    body, media_type = file.body, file.media_type
    for hit in hits:
        match hit.name:
            case "result.truncate":
                body = body[: int(len(body) * hit["keep"])]
            case "result.empty":
                body = b""
            case "result.corrupt":
                body = body[:_HEAD] + body[_HEAD:].translate(_OTHER_BYTES)
            case "result.swap":
                body = mock.files.another(name) or body
            case "result.wrong-type":
                media_type = hit["content_type"]
    reply = _ranged(body, media_type, range_header)
    reply = await disturb_reply(hits, mock.clock, reply=reply, shape=mock.refusal)
    for hit in hits:
        if hit.name == "result.reset":
            return TornResponse(reply, 0.5)
        if hit.name == "result.drip":
            seconds, drops = hit["seconds"], hit["drops"]
            return DrippedResponse(reply, mock.clock, seconds=seconds, drops=drops)
    return reply


def _ranged(body: bytes, media_type: str, header: str | None) -> Response:
    """Serve one range of bytes; otherwise the whole file, as HTTP allows."""
    headers, size = {"Accept-Ranges": "bytes"}, len(body)
    found = _RANGE.fullmatch(header or "")
    first, last = found.groups() if found else ("", "")
    if not first and not last:
        return Response(body, media_type=media_type, headers=headers)
    start = int(first) if first else max(size - int(last), 0)
    end = min(int(last) if first and last else size - 1, size - 1)
    if start >= size or end < start:
        outside = {"Content-Range": f"bytes */{size}"}
        raise Problem(416, "bad_range", detail="the range is outside the file", headers=outside)
    headers["Content-Range"] = f"bytes {start}-{end}/{size}"
    return Response(body[start : end + 1], 206, media_type=media_type, headers=headers)
