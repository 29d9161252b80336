"""What was kept is signalled however often the book can't be looked at."""

import asyncio
from pathlib import Path

import pytest

from services.callback import receiver as module
from services.callback.errors import NotKept
from services.callback.receiver import Receiver
from shared.jobs.ids import new_job_id
from tests.services.callback.conftest import settings_for
from tests.shared.processes import free_port
from tests.shared.standins import client_of_nobody


async def test_a_book_that_is_full_for_a_moment_ends_no_signals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver = Receiver(settings_for(tmp_path), await client_of_nobody(free_port()))
    tries, again = 0, asyncio.Event()

    async def signal_pending() -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise NotKept("Too many callbacks at once; try again in a moment.")
        again.set()

    monkeypatch.setattr(module, "RETRY_SECONDS", 0)
    monkeypatch.setattr(receiver, "signal_pending", signal_pending)
    receiver._signal_later(new_job_id())
    signalling = asyncio.create_task(receiver._signal_pending_again())
    try:
        async with asyncio.timeout(60):
            waiting = asyncio.create_task(again.wait())
            await asyncio.wait({waiting, signalling}, return_when=asyncio.FIRST_COMPLETED)
        assert again.is_set()
    finally:
        for task in (waiting, signalling):
            task.cancel()
        await asyncio.gather(waiting, signalling, return_exceptions=True)
        await receiver.committer.close()
