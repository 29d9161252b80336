"""Answers of a vendor that are encoded, huge, nested or slow, over real HTTP."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from services.worker.vendors import answers as module
from services.worker.vendors.service import VideoService
from services.worker.vendors.vendor import MAX_ID
from shared.errors import OutcomeUnknown, RefusedForGood, VendorError
from shared.http.client import http_client
from tests.services.mock_core.serving import served
from tests.services.worker import hostile
from tests.services.worker.vendors.stub import picture_at
from tests.services.worker.vendors.usual import OURS

DEEP = 200_000
STATUS = {"job_id": "v1", "status": "processing"}


@dataclass
class Vendor:
    """Gives one answer to whatever it is asked."""

    body: bytes
    status: int = 200
    encoding: str | None = None
    drips: bool = False
    asked: list[str] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked.append(Request(scope).headers["accept-encoding"])
        headers = {"content-encoding": self.encoding} if self.encoding else {}
        answer = Response(self.body, self.status, headers)
        if self.drips:
            answer = StreamingResponse(_drops(), self.status)
        await answer(scope, receive, send)


async def _drops() -> AsyncIterator[bytes]:
    while True:
        yield b" "
        await asyncio.sleep(0.01)


@asynccontextmanager
async def asking(vendor: Vendor) -> AsyncIterator[VideoService]:
    async with served(vendor) as base, http_client(base) as http:
        yield VideoService(http)


async def test_answers_are_asked_for_as_they_are() -> None:
    vendor = Vendor(json.dumps(STATUS).encode())
    async with asking(vendor) as videos:
        status = await videos.status("v1")
    assert status is not None
    assert (status.vendor_id, vendor.asked) == ("v1", ["identity"])


def deep(opening: bytes, closing: bytes) -> bytes:
    return b'{"job_id": "v1", "status": ' + opening * DEEP + b"1" + closing * DEEP + b"}"


NO_ANSWERS = {
    "encoded twice": (Vendor(hostile.gzip_bomb(), encoding="gzip, gzip"), "is encoded"),
    "encoded": (Vendor(gzip.compress(json.dumps(STATUS).encode()), encoding="gzip"), "is encoded"),
    "huge": (Vendor(json.dumps({**STATUS, "more": "x" * 2**24}).encode()), "larger than 1048576"),
    "lists in lists": (Vendor(deep(b"[", b"]")), "not a JSON object"),
    "objects in objects": (Vendor(deep(b'{"a":', b"}")), "not a JSON object|larger than"),
    "a number of digits": (Vendor(b'{"job_id": ' + b"9" * 10**5 + b"}"), "not a JSON object"),
    "a text of digits": (
        Vendor(json.dumps({**STATUS, "percent": "9" * 10**5}).encode()),
        "does not fit",
    ),
    "a long id": (Vendor(json.dumps({**STATUS, "job_id": "v" * 10**6}).encode()), "does not fit"),
}


@pytest.mark.parametrize(("vendor", "reason"), NO_ANSWERS.values(), ids=list(NO_ANSWERS))
async def test_an_answer_that_is_none_is_no_news(vendor: Vendor, reason: str) -> None:
    async with asking(vendor) as videos:
        with pytest.raises(OutcomeUnknown, match=reason) as told:
            await videos.status("v1")
    assert len(told.value.message) < 200


async def test_a_submit_that_is_answered_so_may_have_arrived() -> None:
    vendor = Vendor(json.dumps({"job_id": "v" * (MAX_ID + 1)}).encode())
    async with asking(vendor) as videos:
        with pytest.raises(OutcomeUnknown, match="without a job_id"):
            await videos.submit(OURS, 1, prompt="a", picture=picture_at("b"), callback_url="c")


REFUSALS = {
    "encoded": Vendor(hostile.gzip_bomb(), 400, "gzip, gzip"),
    "huge": Vendor(json.dumps({"code": 1303, "detail": "x" * 2**24}).encode(), 400),
    "a code of digits": Vendor(json.dumps({"code": "1" * 10**5}).encode(), 400),
    "a message of lists": Vendor(b'{"message": ' + b"[" * 900 + b"]" * 900 + b"}", 400),
}


@pytest.mark.parametrize("vendor", REFUSALS.values(), ids=list(REFUSALS))
async def test_a_refusal_that_can_t_be_read_counts_by_its_status(vendor: Vendor) -> None:
    async with asking(vendor) as videos:
        with pytest.raises(RefusedForGood) as told:
            await videos.status("v1")
    assert len(told.value.message) <= 500


async def test_an_unknown_id_is_unknown_however_that_is_said() -> None:
    async with asking(Vendor(hostile.gzip_bomb(), 404, "gzip, gzip")) as videos:
        assert await videos.status("v1") is None


async def test_an_answer_that_drips_is_not_waited_for_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "ANSWER_SECONDS", 0.3)
    async with asking(Vendor(b"", drips=True)) as videos:
        with pytest.raises(VendorError, match=r"No whole answer within 0\.3 s"):
            await videos.status("v1")
