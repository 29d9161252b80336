"""An impatient user: the second interrupt does not leave a stack behind."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.chaos import __main__ as entry
from tests.chaos.schedule import AS_PROCESSES
from tests.chaos.site import Site


def _interrupted() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_further_interrupts_do_not_keep_it_from_taking_its_stack_away(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    taken_away: list[Path] = []

    @asynccontextmanager
    async def site(data: Path, /, **_: str) -> AsyncIterator[Site]:
        try:
            _interrupted()
            await asyncio.sleep(60)
            yield pytest.fail("it went on")
        finally:
            _interrupted()
            await asyncio.sleep(0.01)
            _interrupted()
            await asyncio.sleep(0.01)
            taken_away.append(data)

    monkeypatch.setitem(entry.SITES, "local", (site, AS_PROCESSES))

    assert entry.main(["--reports", str(tmp_path)]) == entry.INTERRUPTED
    assert len(taken_away) == 1
    assert capsys.readouterr().out.count("is being stopped") == 2
