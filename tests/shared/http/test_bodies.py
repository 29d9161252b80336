"""A body of any size is refused cheaply: its values are counted before one is looked at."""

import json
import tracemalloc
from collections.abc import AsyncIterator
from typing import Annotated, Any

import httpx
import pytest
from pydantic import BaseModel, ConfigDict, Field

from shared.http.app import ServiceApp
from shared.http.bodies import Limit
from shared.http.problems import install

MEBIBYTE = 1024 * 1024
LIMIT = Limit(MEBIBYTE, values=100)


class Item(BaseModel):
    model_config = ConfigDict(extra="forbid")

    word: str


class Order(BaseModel):
    items: Annotated[list[Item], Field(max_length=50)]


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    app = ServiceApp()
    app.limits = {"/large": Limit(2 * MEBIBYTE, values=None), "/": LIMIT}
    install(app)

    @app.post("/order")
    async def order(order: Order) -> int:
        return len(order.items)

    @app.post("/large")
    async def large(text: str = "") -> None: ...

    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
        yield http


BODIES = {
    "wrong items": b'{"items":[' + b"1," * 400_000 + b"1]}",
    "empty items": b'{"items":[' + b"{}," * 300_000 + b"{}]}",
    "unknown keys": json.dumps({f"key{number}": 1 for number in range(60_000)}).encode(),
    "lists in lists": b"[" * 500_000,
    "after blanks": b" " * 1000 + b"[" + b"1," * 400_000,
    "after a byte order mark": b"\xef\xbb\xbf[" + b"1," * 400_000 + b"1]",
    "in UTF-16": ("[" + "1," * 200_000 + "1]").encode("utf-16-be"),
    # Byte for byte the first string ends before its quote, and all else is in another one.
    "in UTF-16 behind an escape": ('["\\"",' + "1," * 200_000 + "1]").encode("utf-16-le"),
}


@pytest.mark.parametrize("name", BODIES)
async def test_half_a_million_mistakes_are_refused_cheaply(
    http: httpx.AsyncClient, name: str
) -> None:
    body = BODIES[name]
    assert len(body) < MEBIBYTE * 1.1
    tracemalloc.start()
    answer = await http.post("/order", content=body, headers={"Content-Type": "application/json"})
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert answer.status_code == 422
    assert answer.json()["detail"] == "body: It holds more than 100 values."
    assert peak < 50 * MEBIBYTE


async def test_marks_inside_of_strings_do_not_count(http: httpx.AsyncClient) -> None:
    items = [{"word": ',[{"\\' * 1000} for _ in range(20)]
    answer = await http.post("/order", json={"items": items})
    assert (answer.status_code, answer.json()) == (200, 20)


async def test_each_path_has_its_limit(http: httpx.AsyncClient) -> None:
    for path, size, status in (
        ("/order", MEBIBYTE + 1, 413),
        ("/large", MEBIBYTE + 1, 200),
        ("/large", 2 * MEBIBYTE + 1, 413),
    ):
        answer = await http.post(path, content=b"x" * size)
        assert answer.status_code == status


async def test_body_in_pieces_is_counted_as_a_whole(http: httpx.AsyncClient) -> None:
    async def pieces(body: bytes) -> AsyncIterator[bytes]:
        for start in range(0, len(body), 1000):
            yield body[start : start + 1000]

    async def sent(body: bytes) -> Any:
        headers = {"Content-Type": "application/json"}
        return await http.post("/order", content=pieces(body), headers=headers)

    good = json.dumps({"items": [{"word": "x" * 100}] * 30}).encode()
    assert (await sent(good)).json() == 30
    assert (await sent(b"[" * 101)).json()["detail"] == "body: It holds more than 100 values."
    assert (await sent(b" " * (MEBIBYTE + 1))).status_code == 413
