"""The vendor of the example over HTTP, from both sides of the wire, and the check of its files."""

import io
import wave
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from examples.speech.mock import SECONDS_A_CHARACTER, SpeechMockSettings, create_app, tone
from examples.speech.vendor import Speaker
from examples.speech.worker import WavChecker
from services.mock_core.clock import DelaySpec
from shared.errors import BadResult, OutcomeUnknown, RefusedForNow
from tests.fixtures.present import present
from tests.services.mock_core.serving import Json, Service, receiving, running
from tests.services.worker.vendors.stub import StubVendor, reply

OURS = "job-0123456789abcdef01234567.speech.1"
NOWHERE = "http://127.0.0.1:9/"
ANSWERED_ANOTHER: Json = {"where": "submit", "do": "refuse", "with": {"status": 503}}


@pytest.fixture
async def mock() -> AsyncIterator[Service]:
    settings = SpeechMockSettings(mock_speed=1000, mock_speech_seconds=DelaySpec(20))
    async with running(create_app(settings)) as service:
        yield service


async def test_order_is_found_by_our_id_and_a_duplicate_is_adopted(mock: Service) -> None:
    speaker = Speaker(mock.http)
    assert await speaker.status(OURS) is None
    async with receiving() as receiver:
        made = await speaker.submit(OURS, 7, text="good morning", callback_url=receiver.url)
        assert await speaker.submit(OURS, 7, text="good morning", callback_url=receiver.url) == made
        await mock.quiet()
    status = present(await speaker.status(OURS))
    assert (status.vendor_id, status.state, status.percent) == (made, "succeeded", 100)
    [row] = await mock.json("/admin/ledger")
    assert (row["external_id"], row["token"], row["charged"]) == (OURS, 7, True)
    url = present(await speaker.address(status))
    content = (await mock.http.get(url)).content
    assert content == tone("good morning")
    with wave.open(io.BytesIO(content)) as file:
        seconds = file.getnframes() / file.getframerate()
    assert seconds == pytest.approx(len("good morning") * SECONDS_A_CHARACTER, abs=0.001)


async def test_cancelled_order_has_failed_and_costs_nothing(mock: Service) -> None:
    await mock.arm({"where": "start", "do": "slow", "with": {"extra": 60_000}})
    speaker = Speaker(mock.http)
    await speaker.cancel(await speaker.submit(OURS, 7, text="x", callback_url=NOWHERE))
    await speaker.cancel("unknown")
    assert present(await speaker.status(OURS)).state == "failed"
    row = await mock.row(OURS)
    assert (row["outcome"], row["charged"]) == ("cancelled", False)


async def test_failures_are_sorted(mock: Service) -> None:
    await mock.arm(ANSWERED_ANOTHER)
    with pytest.raises(RefusedForNow):
        await Speaker(mock.http).submit(OURS, 7, text="x", callback_url=NOWHERE)

    another = reply(id="8", reference=f"{OURS}0", state="done")
    async with StubVendor({f"GET /speech/{OURS}": [another]}).client() as http:
        with pytest.raises(OutcomeUnknown):
            await Speaker(http).status(OURS)


@pytest.mark.parametrize(
    ("do", "says"),
    [
        ("lose", []),
        ("contradict", [("failed", True), ("failed", True)]),
        ("unknown-job", [("reading", False), ("done", False)]),
    ],
)
async def test_callback_faults_use_the_vendors_words(
    mock: Service, do: str, says: list[tuple[str, bool]]
) -> None:
    await mock.arm({"service": "speech", "where": "callback", "do": do})
    async with receiving() as receiver:
        await Speaker(mock.http).submit(OURS, 7, text="x", callback_url=receiver.url)
        await mock.quiet()
    assert [(body["state"], body["reference"] == OURS) for body in receiver.bodies] == says


async def test_unknown_addresses_and_services_are_refused(mock: Service) -> None:
    wanted = {"text": "x", "callback_url": "http://elsewhere.example/callback"}
    answer = await mock.post("/speech", wanted)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_callback_url")
    rule = {"service": "speach", "where": "poll", "do": "reset"}
    answer = await mock.http.put("/admin/faults", json=rule)
    assert answer.status_code == 422
    [mistake] = answer.json()["errors"]
    assert mistake["message"] == "It must be one of image, video, speech."


def test_each_text_has_a_file_of_its_own() -> None:
    texts = [f"text {number}" for number in range(100, 200)]

    assert len({tone(text) for text in texts}) == len(texts)


async def test_invalid_wav_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "speech"
    path.write_bytes(tone("a text"))
    await WavChecker().check(path, "speech", ("WAV",), io.BytesIO())
    for bad in (b"", b"RIFF", tone("a text")[:-1], b"<html></html>"):
        path.write_bytes(bad)
        with pytest.raises(BadResult):
            await WavChecker().check(path, "speech", ("WAV",), io.BytesIO())
