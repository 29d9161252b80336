"""One call and its answer: bounds on what is read, valid Unicode, and how failures are sorted."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from services.worker.vendors.kling.answers import KLING_CODES
from services.worker.vendors.service import VideoService
from shared.errors import NeverDelivered, OutcomeUnknown, RefusedForGood, RefusedForNow, VendorError
from shared.http.client import http_client
from shared.pipeline import answers as module
from shared.pipeline.answers import MOST_MEMORY, json_object, sort_exception, sort_response
from tests.services.mock_core.serving import served
from tests.services.worker import hostile
from tests.services.worker.vendors.stub import StubVendor

DEEP = 200_000
STATUS = {"job_id": "v1", "status": "processing"}


@dataclass
class Vendor:
    """Gives one answer to whatever it is asked."""

    body: bytes
    status: int = 200
    encoding: str | None = None
    asked: list[str] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked.append(Request(scope).headers["accept-encoding"])
        headers = {"content-encoding": self.encoding} if self.encoding else {}
        await Response(self.body, self.status, headers)(scope, receive, send)


@asynccontextmanager
async def asking(vendor: Vendor) -> AsyncIterator[VideoService]:
    async with served(vendor) as base, http_client(base) as http:
        yield VideoService(http)


def deep(opening: bytes, closing: bytes) -> bytes:
    return b'{"job_id": "v1", "status": ' + opening * DEEP + b"1" + closing * DEEP + b"}"


NO_ANSWERS = {
    "encoded twice": (Vendor(hostile.gzip_bomb(), encoding="gzip, gzip"), "is encoded"),
    "encoded": (Vendor(gzip.compress(json.dumps(STATUS).encode()), encoding="gzip"), "is encoded"),
    "huge": (Vendor(json.dumps({**STATUS, "more": "x" * 2**24}).encode()), "larger than 1048576"),
    "lists in lists": (Vendor(deep(b"[", b"]")), "not a JSON object"),
    "objects in objects": (Vendor(deep(b'{"a":', b"}")), "not a JSON object|larger than"),
    "a number of digits": (Vendor(b'{"job_id": ' + b"9" * 10**5 + b"}"), "not a JSON object"),
    "a long id": (
        Vendor(json.dumps({**STATUS, "job_id": "v" * 10**6}).encode()),
        "unexpected form",
    ),
}


@pytest.mark.parametrize(("vendor", "reason"), NO_ANSWERS.values(), ids=list(NO_ANSWERS))
async def test_invalid_answer_is_ignored(vendor: Vendor, reason: str) -> None:
    async with asking(vendor) as videos:
        with pytest.raises(OutcomeUnknown, match=reason) as told:
            await videos.status("v1")
    assert len(told.value.message) < 200


REFUSALS = {
    "encoded": Vendor(hostile.gzip_bomb(), 400, "gzip, gzip"),
    "huge": Vendor(json.dumps({"code": 1303, "detail": "x" * 2**24}).encode(), 400),
    "a code of digits": Vendor(json.dumps({"code": "1" * 10**5}).encode(), 400),
    "a message of lists": Vendor(b'{"message": ' + b"[" * 900 + b"]" * 900 + b"}", 400),
}


@pytest.mark.parametrize("vendor", REFUSALS.values(), ids=list(REFUSALS))
async def test_unreadable_refusal_is_sorted_by_its_status(vendor: Vendor) -> None:
    async with asking(vendor) as videos:
        with pytest.raises(RefusedForGood) as told:
            await videos.status("v1")
    assert len(told.value.message) <= 500


async def test_unknown_id_is_recognised_in_every_form() -> None:
    async with asking(Vendor(hostile.gzip_bomb(), 404, "gzip, gzip")) as videos:
        assert await videos.status("v1") is None


def header(status: int, name: bytes, value: bytes) -> VideoService:
    """A vendor whose every answer has this header."""
    answer = httpx.Response(status, headers=[(name, value)], content=json.dumps(STATUS))
    return VideoService(StubVendor({"GET /video/status/v1": [answer]}).client())


@pytest.mark.parametrize("location", [b"mailto:a@b", b"http:there", b"http://[::1"])
async def test_redirect_to_no_address_has_no_known_outcome(location: bytes) -> None:
    with pytest.raises(OutcomeUnknown, match=r"InvalidURL|Invalid URL"):
        await header(302, b"Location", location).status("v1")


@pytest.mark.parametrize("value", ["heute, spät".encode(), b"\xe9\xff"])
async def test_header_may_be_no_ascii(value: bytes) -> None:
    known = await header(200, b"Date", value).status("v1")
    assert known is not None
    assert known.vendor_id == "v1"
    with pytest.raises(RefusedForNow) as told:
        await header(429, b"Retry-After", value).status("v1")
    assert told.value.retry_after == 1


async def test_no_cookie_is_kept() -> None:
    answer = httpx.Response(200, headers={"set-cookie": "a=1"}, content=json.dumps(STATUS))
    vendor = StubVendor({"GET /video/status/v1": [answer]})
    async with http_client("http://vendor", transport=vendor.transport()) as http:
        for _ in range(2):
            await VideoService(http).status("v1")
    assert [request.headers.get("cookie") for request in vendor.requests] == [None, None]


async def test_endless_informational_answers_are_cut_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each one restarts the time-out of a read, so only the limit of the whole answer ends them."""
    monkeypatch.setattr(module, "ANSWER_SECONDS", 0.3)

    async def flood(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while True:
                writer.write(b"HTTP/1.1 100 x\r\n\r\nHTTP/1.1 103 x\r\nLink: </x>\r\n\r\n" * 100)
                await writer.drain()

    async with await asyncio.start_server(flood, "127.0.0.1", 0) as server:
        base = "http://{}:{}".format(*server.sockets[0].getsockname())
        async with http_client(base) as http:
            with pytest.raises(OutcomeUnknown, match=r"No whole answer within 0\.3 s"):
                await VideoService(http).status("v1")


# HTTP status, Kling's code, and what the vendor's table says a client should make of it.
KLING = [
    (401, 1000, RefusedForGood),
    (429, 1100, RefusedForGood),
    (403, 1103, RefusedForGood),
    (404, 1203, RefusedForGood),
    (400, 1301, RefusedForGood),
    (429, 1302, RefusedForNow),
    (429, 1303, RefusedForNow),
    (429, 1304, RefusedForGood),
    (500, 5000, OutcomeUnknown),
    (503, 5001, RefusedForNow),
    (504, 5002, OutcomeUnknown),
]
PLAIN = [
    (302, OutcomeUnknown),
    (400, RefusedForGood),
    (404, RefusedForGood),
    (408, RefusedForNow),
    (425, RefusedForNow),
    (429, RefusedForNow),
    (500, OutcomeUnknown),
    (503, RefusedForNow),
]
TRANSPORT = [
    (httpx.ConnectError("refused"), NeverDelivered),
    (httpx.ConnectTimeout("slow"), NeverDelivered),
    (httpx.PoolTimeout("full"), NeverDelivered),
    (httpx.ProxyError("407"), NeverDelivered),
    (httpx.UnsupportedProtocol("ftp"), NeverDelivered),
    (httpx.ReadTimeout("no answer"), OutcomeUnknown),
    (httpx.WriteTimeout("half sent"), OutcomeUnknown),
    (httpx.ReadError("reset"), OutcomeUnknown),
    (httpx.WriteError("reset"), OutcomeUnknown),
    (httpx.RemoteProtocolError("garbage"), OutcomeUnknown),
    (httpx.DecodingError("garbage"), OutcomeUnknown),
]


@pytest.mark.parametrize(("status", "code", "kind"), KLING)
@pytest.mark.parametrize("as_text", [False, True], ids=["number", "text"])
def test_code_decides(status: int, code: int, kind: type[VendorError], as_text: bool) -> None:
    body = {"code": str(code) if as_text else code, "message": "because", "request_id": "r"}
    error = sort_response(httpx.Response(status, json=body), KLING_CODES)
    assert type(error) is kind
    assert f"code {code}" in error.message
    assert "because" in error.message


@pytest.mark.parametrize(("status", "kind"), PLAIN)
@pytest.mark.parametrize("body", [b"", b"<html>oops</html>", b"[1]", b'{"code": 4711}', b"\xff"])
def test_without_a_code_the_status_decides(
    status: int, kind: type[VendorError], body: bytes
) -> None:
    assert type(sort_response(httpx.Response(status, content=body), KLING_CODES)) is kind


@pytest.mark.parametrize(("error", "kind"), TRANSPORT, ids=lambda it: type(it).__name__)
def test_not_sent_differs_from_possibly_arrived(
    error: httpx.HTTPError, kind: type[VendorError]
) -> None:
    sorted_ = sort_exception(error)
    assert type(sorted_) is kind
    assert type(error).__name__ in sorted_.message


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7), ("0", 0), ("3600", 60), (None, 1), ("soon", 1), ("²", 1), ("-5", 1)],
)
def test_vendors_retry_after_is_bounded(header: str | None, seconds: float) -> None:
    headers = [] if header is None else [(b"retry-after", header.encode())]
    error = sort_response(httpx.Response(429, headers=headers, json={"code": 1303}), KLING_CODES)
    assert error.retry_after == seconds


def test_only_a_temporary_refusal_has_a_retry_after() -> None:
    response = httpx.Response(429, headers={"retry-after": "9"}, json={"code": 1102})
    assert sort_response(response, KLING_CODES).retry_after is None


@pytest.mark.parametrize(("value", "size"), [(b"[],", 120), (b'{"a":0},', 310), (b"0,", 60)])
def test_answer_with_too_many_values_is_not_read(value: bytes, size: int) -> None:
    """Three bytes of it are seventy in memory."""

    def read(count: int) -> dict[str, Any] | None:
        content = b'{"a":[' + value * count + b"0]}"
        return json_object(httpx.Response(200, content=content))

    assert read(MOST_MEMORY // size + 1) is None
    assert read(MOST_MEMORY // size - 10) is not None


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (rb"a\ud83d", "a\ufffd"),
        (rb"\uD83Db", "\ufffdb"),
        (rb"\udc3d", "\ufffd"),
        (rb"\ud83d\ud83d\ude00", "\ufffd\U0001f600"),
        (rb"\ude00\ud83d", "\ufffd\ufffd"),
        (rb"\\ud83d", "\\ud83d"),
        (rb"\\\ud83d", "\\\ufffd"),
        (rb"a\n\u00e9\udc3d\tb", "a\n\u00e9\ufffd\tb"),
        (b"a\xff", "a\ufffd"),
        ("\U0001f600é".encode(), "\U0001f600é"),
    ],
)
def test_texts_are_made_valid_unicode(written: bytes, read: str) -> None:
    content = b'\xef\xbb\xbf{"a": ["' + written + b'"], "' + written + b'": 1}'
    assert json_object(httpx.Response(200, content=content)) == {"a": [read], read: 1}


@given(st.text(st.sampled_from('\ud83d\ude00\U0001f600\\u"d'), max_size=20))
def test_any_text_is_read_as_valid_unicode(text: str) -> None:
    content = json.dumps({"a": text}).encode()
    halves = text.encode("utf-16-le", "surrogatepass")
    read = json_object(httpx.Response(200, content=content))
    assert read == {"a": halves.decode("utf-16-le", "replace")}
