"""Mistakes as shown: a field by the name that its writer knows, and a sentence."""

import json
from collections.abc import AsyncIterator
from enum import StrEnum
from typing import Annotated, Any

import httpx
import pytest
from fastapi import FastAPI, Header, Path, Query
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from shared.http import problems
from shared.http.mistakes import LONGEST_NAME, MOST

SURROGATE = "It contains half of a surrogate pair."
JSON = {"Content-Type": "application/json"}


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")

    word: Annotated[str, Field(min_length=2, max_length=3)] = "abc"
    colour: Colour = Colour.RED


def _even(number: int) -> int:
    if number % 2:
        raise ValueError("It must be even.")
    return number


class Body(BaseModel):
    inner: list[Inner] | None = None
    even: Annotated[int, AfterValidator(_even)] = 2
    number: Annotated[int, Field(ge=1, le=5, strict=True)]
    some: Annotated[tuple[Inner, ...], Field(min_length=1)] | None = None


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    problems.install(app)

    @app.post("/{place}")
    async def take(
        body: Body,
        place: Annotated[str, Path(max_length=3)],
        *,
        limit: Annotated[int, Query(ge=1)] = 1,
        last_event_id: Annotated[str | None, Header(max_length=2)] = None,
    ) -> None: ...

    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://a") as http:
        yield http


async def told(http: httpx.AsyncClient, body: bytes | object, path: str = "/abc") -> Any:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = await http.post(path, content=raw, headers=JSON | {"Last-Event-ID": "1"})
    assert answer.status_code == 422
    problem = answer.json()
    assert problem["detail"] == " ".join(f"{e['field']}: {e['message']}" for e in problem["errors"])
    return [(error["field"], error["message"]) for error in problem["errors"]]


async def test_all_mistakes_of_a_request_are_reported_at_once(http: httpx.AsyncClient) -> None:
    body = {"inner": [{}, {"word": "a", "colour": "green", "x": 1}], "number": 6}
    answer = await http.post("/abcd?limit=x", json=body, headers={"last-event-id": "123"})
    assert [(error["field"], error["message"]) for error in answer.json()["errors"]] == [
        ("place", "Its length must be at most 3."),
        ("limit", "It must be a whole number."),
        ("Last-Event-Id", "Its length must be at most 2."),
        ("inner[1].word", "Its length must be at least 2."),
        ("inner[1].colour", "It must be 'red' or 'blue'."),
        ("inner[1].x", "There is no such field."),
        ("number", "It must be at most 5."),
    ]


async def test_field_has_its_name_and_a_sentence(http: httpx.AsyncClient) -> None:
    for body, expected in (
        ({}, [("number", "It is missing.")]),
        ({"number": "1"}, [("number", "It must be a whole number.")]),
        ({"number": 1, "inner": {}}, [("inner", "It must be a list.")]),
        ({"number": 1, "inner": [1]}, [("inner[0]", "It must be a JSON object.")]),
        (b"", [("body", "It is missing.")]),
        (b"\xff", [("body", "It is not JSON: it can't be decoded.")]),
        (b"[" * 100_000, [("body", "It is not JSON: it can't be decoded.")]),
        (b"[]", [("body", "It must be a JSON object.")]),
        (b'{"number" 1}', [("body", "It is not JSON: Expecting ':' delimiter.")]),
        (b"{", [("body", "It is not JSON: Expecting property name enclosed in double quotes.")]),
        ({"number": 1, "some": []}, [("some", "Its length must be at least 1.")]),
        ({"number": 1, "some": [{"x": 1}]}, [("some[0].x", "There is no such field.")]),
        ({"number": 1, "inner": [{"word": "\ud800"}]}, [("inner[0].word", SURROGATE)]),
        ({"number": 1, "inner": [{"\ud800": 1}]}, [("inner[0]", SURROGATE)]),
    ):
        assert await told(http, body) == expected


async def test_message_of_our_own_validator_is_unchanged(http: httpx.AsyncClient) -> None:
    assert await told(http, {"number": 1, "even": 3}) == [("even", "It must be even.")]


async def test_size_of_an_answer_is_bounded(http: httpx.AsyncClient) -> None:
    many = [{"x" * 10_000: 1, "word": "a"}] * 2 * MOST
    problem = (await http.post("/abc", json={"number": 1, "inner": many})).json()
    assert len(problem["errors"]) == MOST
    assert problem["detail"].endswith(f"There is no such field. And {3 * MOST} more.")
    assert max(len(error["field"]) for error in problem["errors"]) < LONGEST_NAME + 20
