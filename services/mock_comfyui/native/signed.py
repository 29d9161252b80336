"""Signed addresses of files, as servers in a cloud answer `/view`: good for a while, no keys."""

import hashlib
import hmac
import secrets
import time
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Request
from starlette.responses import Response

from services.mock_core.exchange.files import serve_file
from services.mock_core.mock import TheMock
from services.mock_core.problems import Responses

router = APIRouter(tags=["native"])
_SECRET = secrets.token_bytes(32)
_SECONDS = 300
_REFUSED: Responses = {
    400: {"description": "headers of another kind of authorization"},
    403: {"description": "a signature that is none, or is used up"},
    404: {"description": "no such file"},
}


def signed_address(base: str, key: str) -> str:
    """Where this file is for some minutes."""
    expires = str(int(time.time()) + _SECONDS)
    query = urlencode({"expires": expires, "signature": _signature(key, expires)})
    return f"{base}/signed/{quote(key, safe='')}?{query}"


@router.get("/signed/{key:path}", response_class=Response, responses=_REFUSED)
async def signed_file(
    request: Request, mock: TheMock, key: str, expires: str = "", signature: str = ""
) -> Response:
    """The file; who sends the other server's keys along is refused, as storage services do."""
    if {"authorization", "x-api-key"} & set(request.headers):
        return Response(status_code=400)
    good = hmac.compare_digest(signature.encode(), _signature(key, expires).encode())
    if not good or int(expires) < time.time():
        return Response(status_code=403)
    if mock.files.get(key) is None:
        return Response(status_code=404)
    return await serve_file(mock, key, range_header=request.headers.get("range"))


def _signature(key: str, expires: str) -> str:
    return hmac.new(_SECRET, f"{key}\n{expires}".encode(), hashlib.sha256).hexdigest()
