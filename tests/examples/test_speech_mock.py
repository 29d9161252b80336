"""The mock of the speech vendor: its wire, and what the kit of the mocks gives it."""

import io
import wave
from collections.abc import AsyncIterator

import pytest

from examples.speech.mock import SECONDS_A_CHARACTER, SpeechMockSettings, create_app
from services.mock_core.clock import DelaySpec
from tests.services.mock_core.serving import Json, Service, receiving, running

OURS = "job-0123456789abcdef01234567.speech.1"
SLOW: Json = {"where": "start", "do": "slow", "with": {"extra": 60_000}}


@pytest.fixture
async def mock() -> AsyncIterator[Service]:
    settings = SpeechMockSettings(mock_speed=1000, mock_speech_seconds=DelaySpec("fixed", 20))
    async with running(create_app(settings)) as service:
        yield service


async def order(mock: Service, text: str = "good morning", **fields: str) -> Json:
    reply = await mock.post("/speech", {"text": text, "reference": OURS, **fields})
    assert reply.status_code == 202, reply.text
    return dict(reply.json())


async def test_the_file_is_as_long_as_the_text(mock: Service) -> None:
    for text in ("a", "a text of thirty characters ..."):
        made = await order(mock, text, reference=f"of {len(text)}")
        found = await mock.until(f"/speech/{made['id']}", lambda it: it["state"] == "done")
        assert (found["percent"], found["reference"]) == (100, f"of {len(text)}")
        with wave.open(io.BytesIO((await mock.http.get(found["file"])).content)) as file:
            seconds = file.getnframes() / file.getframerate()
        assert seconds == pytest.approx(len(text) * SECONDS_A_CHARACTER, abs=0.001)


async def test_a_reference_is_ordered_and_charged_once(mock: Service) -> None:
    made = await order(mock)
    again = await mock.post("/speech", {"text": "good morning", "reference": OURS})
    assert (again.status_code, again.json()["code"]) == (409, "in_use")
    assert (await mock.json(f"/speech/{OURS}"))["id"] == made["id"]
    await mock.quiet()
    assert [row["charged"] for row in await mock.json("/admin/ledger")] == [True]


async def test_what_is_cancelled_ends_and_costs_nothing(mock: Service) -> None:
    await mock.arm(SLOW)
    made = await order(mock)
    assert (await mock.http.delete(f"/speech/{made['id']}")).status_code == 204
    assert (await mock.json(f"/speech/{OURS}"))["state"] == "failed"
    row = await mock.row(OURS)
    assert (row["outcome"], row["charged"]) == ("cancelled", False)
    assert (await mock.http.delete("/speech/nothing")).status_code == 404


@pytest.mark.parametrize(
    ("do", "says"),
    [
        ("lose", []),
        ("contradict", [("failed", OURS), ("failed", OURS)]),
        ("unknown-job", [("reading", None), ("done", None)]),
    ],
)
async def test_the_faults_of_callbacks_speak_the_vendors_words(
    mock: Service, do: str, says: list[tuple[str, str | None]]
) -> None:
    await mock.arm({"service": "speech", "where": "callback", "do": do})
    async with receiving() as receiver:
        await order(mock, callback_url=receiver.url)
        await mock.quiet()
    named = [(body["state"], body["reference"]) for body in receiver.bodies]
    assert [(state, ours if ours == OURS else None) for state, ours in named] == says


async def test_addresses_that_nobody_named_are_not_called(mock: Service) -> None:
    wanted = {"text": "x", "callback_url": "http://elsewhere.example/callback"}
    reply = await mock.post("/speech", wanted)
    assert (reply.status_code, reply.json()["code"]) == (400, "bad_callback_url")


async def test_a_rule_for_a_service_that_there_is_not_is_refused(mock: Service) -> None:
    reply = await mock.http.put(
        "/admin/faults", json={"service": "speach", "where": "poll", "do": "reset"}
    )
    assert reply.status_code == 422
    [mistake] = reply.json()["errors"]
    assert mistake["message"] == "It must be one of image, video, speech."
