"""Many listeners to one job; python -m tools.bench.sockets has more."""

import asyncio
import contextlib
import json
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect

from shared.jobs.ids import new_job_id
from shared.jobs.messages import Attempts, Job
from shared.jobs.states import Status
from tests.services.api.conftest import Api, calls_for_callers, change, ended
from tests.shared.standins import sample_record

LISTENERS = 200
RUNNING = {"status": Status.RUNNING, "step": "image", "attempts": Attempts(image=1, video=0)}


async def to_the_end(socket: ClientConnection) -> list[tuple[int, str]]:
    """Version and state of each frame until the close."""
    frames = [json.loads(frame) async for frame in socket]
    return [(frame["version"], frame["status"]) for frame in frames]


async def test_many_listeners_to_one_job(lonely: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each change is written as JSON once for all listeners, without a call to Temporal."""
    written: list[int] = []
    dump = Job.model_dump_json

    def counted(self: Job, **options: Any) -> str:
        written.append(self.version)
        return dump(self, **options)

    record = lonely.write(change(sample_record(new_job_id()), **RUNNING))
    address = f"{lonely.sockets}/ws/jobs/{record.job_id}"
    async with contextlib.AsyncExitStack() as stack:
        sockets = [
            await stack.enter_async_context(connect(address, proxy=None)) for _ in range(LISTENERS)
        ]
        for socket in sockets:
            await socket.recv()
        before = calls_for_callers()
        monkeypatch.setattr(Job, "model_dump_json", counted)
        for percent in (20, 40, 60):
            record = change(record, percent=percent)
            lonely.service.feed.put_record(record)
        lonely.service.feed.put_record(ended(record))
        heard = await asyncio.gather(*map(to_the_end, sockets))

    assert set(map(tuple, heard)) == {
        ((3, "running"), (4, "running"), (5, "running"), (6, "succeeded"))
    }
    assert written == [3, 4, 5, 6]
    assert calls_for_callers() == before
