"""The worker's side of the example: its vendor over HTTP, the check of its files, its histories."""

import io
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from examples.speech.mock import SpeechMockSettings, create_app, tone
from examples.speech.vendor import Speaker
from examples.speech.worker import WavChecker
from services.mock_core.clock import DelaySpec
from shared.errors import BadResult, OutcomeUnknown, RefusedForNow
from tests.services.mock_core.serving import Json, Service, receiving, running
from tests.services.worker.vendors.stub import StubVendor, reply

OURS = "job-0123456789abcdef01234567.speech.1"
ANSWERED_ANOTHER: Json = {"where": "submit", "do": "refuse", "with": {"status": 503}}


@pytest.fixture
async def mock() -> AsyncIterator[Service]:
    settings = SpeechMockSettings(mock_speed=1000, mock_speech_seconds=DelaySpec("fixed", 20))
    async with running(create_app(settings)) as service:
        yield service


async def test_an_order_is_found_by_our_id_and_its_duplicate_adopted(mock: Service) -> None:
    speaker = Speaker(mock.http)
    assert await speaker.status(OURS) is None
    async with receiving() as receiver:
        made = await speaker.submit(OURS, 7, text="good morning", callback_url=receiver.url)
        assert await speaker.submit(OURS, 7, text="good morning", callback_url=receiver.url) == made
        await mock.quiet()
    status = await speaker.status(OURS)
    assert status is not None
    assert (status.vendor_id, status.state, status.percent) == (made, "succeeded", 100)
    assert (await mock.row(OURS))["token"] == 7
    url = await speaker.address(status)
    assert url is not None
    assert (await mock.http.get(url)).content == tone("good morning")


async def test_what_is_cancelled_has_failed(mock: Service) -> None:
    await mock.arm({"where": "start", "do": "slow", "with": {"extra": 60_000}})
    speaker = Speaker(mock.http)
    made = await speaker.submit(OURS, 7, text="x", callback_url="http://127.0.0.1:9/")
    await speaker.cancel(made)
    await speaker.cancel("unknown")
    status = await speaker.status(OURS)
    assert status is not None
    assert status.state == "failed"


async def test_a_failure_is_sorted(mock: Service) -> None:
    await mock.arm(ANSWERED_ANOTHER)
    with pytest.raises(RefusedForNow):
        await Speaker(mock.http).submit(OURS, 7, text="x", callback_url="http://127.0.0.1:9/")

    another = reply(id="8", reference=f"{OURS}0", state="done")
    async with StubVendor({f"GET /speech/{OURS}": [another]}).client() as http:
        with pytest.raises(OutcomeUnknown):
            await Speaker(http).status(OURS)


@pytest.mark.parametrize("bad", [b"", b"RIFF", tone("a text")[:-1], b"<html></html>"])
async def test_a_file_that_is_no_whole_wav_is_refused(tmp_path: Path, bad: bytes) -> None:
    path = tmp_path / "speech"
    path.write_bytes(tone("a text"))
    await WavChecker().check(path, "speech", ("WAV",), io.BytesIO())
    path.write_bytes(bad)
    with pytest.raises(BadResult):
        await WavChecker().check(path, "speech", ("WAV",), io.BytesIO())
