"""The table of failures: each Kling code, each HTTP status, each way a transport can fail."""

import json
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.worker.vendors.answers import (
    MOST_VALUES,
    json_object,
    sort_exception,
    sort_response,
)
from shared.errors import (
    NeverDelivered,
    OutcomeUnknown,
    RefusedForGood,
    RefusedForNow,
    VendorError,
)
from shared.temporal.activities import to_application_error

# HTTP status, Kling's code, and what the vendor's table says a client should make of it.
KLING = [
    (401, 1000, RefusedForGood),
    (401, 1001, RefusedForGood),
    (401, 1002, RefusedForGood),
    (401, 1003, RefusedForGood),
    (401, 1004, RefusedForGood),
    (429, 1100, RefusedForGood),
    (429, 1101, RefusedForGood),
    (429, 1102, RefusedForGood),
    (403, 1103, RefusedForGood),
    (400, 1200, RefusedForGood),
    (400, 1201, RefusedForGood),
    (404, 1202, RefusedForGood),
    (404, 1203, RefusedForGood),
    (400, 1300, RefusedForGood),
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
    (401, RefusedForGood),
    (403, RefusedForGood),
    (404, RefusedForGood),
    (408, RefusedForNow),
    (409, RefusedForGood),
    (422, RefusedForGood),
    (425, RefusedForNow),
    (429, RefusedForNow),
    (500, OutcomeUnknown),
    (502, OutcomeUnknown),
    (503, RefusedForNow),
    (504, OutcomeUnknown),
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
def test_the_code_decides(status: int, code: int, kind: type[VendorError], as_text: bool) -> None:
    body = {"code": str(code) if as_text else code, "message": "because", "request_id": "r"}
    error = sort_response(httpx.Response(status, json=body))
    assert type(error) is kind
    assert f"code {code}" in error.message
    assert "because" in error.message


@pytest.mark.parametrize(("status", "kind"), PLAIN)
@pytest.mark.parametrize("body", [b"", b"<html>oops</html>", b"[1]", b'{"code": 4711}', b"\xff"])
def test_without_a_code_the_status_decides(
    status: int, kind: type[VendorError], body: bytes
) -> None:
    assert type(sort_response(httpx.Response(status, content=body))) is kind


@pytest.mark.parametrize(("error", "kind"), TRANSPORT, ids=lambda it: type(it).__name__)
def test_what_never_left_is_told_from_what_may_have_arrived(
    error: httpx.HTTPError, kind: type[VendorError]
) -> None:
    sorted_ = sort_exception(error)
    assert type(sorted_) is kind
    assert type(error).__name__ in sorted_.message


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7), ("0", 0), ("3600", 60), (None, 1), ("soon", 1), ("²", 1), ("-5", 1)],
)
def test_the_vendor_sets_the_pace_within_reason(header: str | None, seconds: float) -> None:
    headers = [] if header is None else [(b"retry-after", header.encode())]
    error = sort_response(httpx.Response(429, headers=headers, json={"code": 1303}))
    assert error.retry_after == seconds


def test_only_a_refusal_that_may_clear_has_a_pace() -> None:
    response = httpx.Response(429, headers={"retry-after": "9"}, json={"code": 1102})
    assert sort_response(response).retry_after is None


@pytest.mark.parametrize("kind", [NeverDelivered, RefusedForNow, OutcomeUnknown])
def test_delivery_problems_are_retried(kind: type[VendorError]) -> None:
    assert not to_application_error(kind("x")).non_retryable


def test_a_final_refusal_is_not_retried() -> None:
    error = to_application_error(RefusedForGood("x"))
    assert error.non_retryable
    assert error.type == "refused_for_good"


@given(st.integers(300, 599), st.binary(max_size=200))
def test_any_answer_is_sorted(status: int, body: bytes) -> None:
    assert isinstance(sort_response(httpx.Response(status, content=body)), VendorError)


@pytest.mark.parametrize("value", [b"[],", b'{"a":0},'])
def test_an_answer_of_values_without_end_is_not_read(value: bytes) -> None:
    """Three bytes of it are seventy for whoever reads them."""

    def read(count: int) -> dict[str, Any] | None:
        content = b'{"a":[' + value * count + b"0]}"
        return json_object(httpx.Response(200, content=content))

    assert read(MOST_VALUES // 2) is None
    assert read(MOST_VALUES // 4) is not None


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
