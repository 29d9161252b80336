"""The program: a line for each finding, then all of them for `make`; wrong ones are its status."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from services.worker.doctor import examination
from services.worker.doctor.examination import UNSAID, examine
from services.worker.settings.worker import WorkerSettings
from services.worker.vendors.findings import Finding, Verdict
from services.worker.vendors.vendor import Traits
from shared.errors import RefusedForGood
from tests.services.mock_core.serving import Service
from tests.services.worker.doctor.made import resolve, settings


async def run(*words: str, **environ: str) -> tuple[int | None, list[str], str]:
    """Its status, its lines, and what it complains of."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.worker.doctor", *words),
        env={"CALLBACK_SECRET": "x" * 32} | environ,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode, out.decode().splitlines(), err.decode()


def urls(image: Service, video: Service) -> dict[str, str]:
    return {
        "IMAGE_SERVICE_URL": str(image.http.base_url),
        "VIDEO_SERVICE_URL": str(video.http.base_url),
    }


async def test_both_mocks_are_found_well(image_mock: Service, video_mock: Service) -> None:
    status, lines, _ = await run(**urls(image_mock, video_mock))
    *told, empty, last = lines
    assert (status, empty) == (0, "")
    assert [line.split(":")[0] for line in told] == [
        "ok       image service",
        "ok       video service",
        "ok       callbacks",
    ]
    found: dict[str, Any] = json.loads(last)
    assert {each["verdict"] for each in found["findings"]} == {"ok"}
    assert found["offers"]["video"].startswith("the video service at http://127.0.0.1:")
    for mock in (image_mock, video_mock):
        assert await mock.json("/admin/ledger") == []


async def test_a_wrong_one_is_its_status(image_mock: Service, video_mock: Service) -> None:
    there = urls(image_mock, video_mock) | {"VIDEO_SERVICE_URL": "http://127.0.0.1:1"}
    status, lines, _ = await run(**there)
    assert status == 1
    assert [line for line in lines if line.startswith("wrong")] == [lines[1]]
    assert json.loads(lines[-1])["findings"][1]["verdict"] == "wrong"


async def test_wrong_settings_are_a_line_of_their_own() -> None:
    status, lines, complaint = await run(IMAGE_SERVICE_URL="ftp://x")
    assert (status, lines) == (2, [])
    assert complaint.startswith("wrong settings: IMAGE_SERVICE_URL: ")


class Plain:
    """A vendor that offers no more than it must."""

    traits = Traits(result_hosts=("gone.example",))

    def credentials(self) -> dict[str, str]:
        return {}


class Refusing(Plain):
    """One whose own check fails."""

    async def examined(self) -> list[Finding]:
        raise RefusedForGood("HTTP 401")


async def test_a_vendor_need_not_be_examined_and_what_fails_is_a_finding(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def one(vendor: object) -> Any:
        @asynccontextmanager
        async def chosen(_: WorkerSettings) -> AsyncIterator[object]:
            yield vendor

        return chosen

    monkeypatch.setattr(examination, "chosen_images", one(Plain()))
    monkeypatch.setattr(examination, "chosen_videos", one(Refusing()))
    refused = Finding("video vendor", Verdict.WRONG, "can't be examined: HTTP 401")
    near = await examine(settings(), receiver=False, resolve=resolve)
    assert near.findings == [refused]
    far = settings(image_service_url="https://us.example")
    found = await examine(far, receiver=False, resolve=resolve)
    assert found.findings == [
        refused,
        Finding(
            "result hosts",
            Verdict.WARNING,
            "none is known here: gone.example",
        ),
    ]
    assert found.offers == {"image": UNSAID, "video": UNSAID}
