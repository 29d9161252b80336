"""The worker as a whole: its slots, what is counted, and replayed histories."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import pytest
from temporalio.worker import SlotPermit, SlotReleaseContext

from services.worker.replay import main
from shared.pipeline.worker import MAX_KNOWN, MAX_NEW, WorkflowTaskSlots
from tests.replay.test_replay import HISTORIES


class Asked:
    """What the SDK's core asks with."""

    def __init__(self, *, is_sticky: bool) -> None:
        self.is_sticky = is_sticky


def asked(slots: WorkflowTaskSlots, *, is_sticky: bool) -> "asyncio.Task[SlotPermit]":
    return asyncio.create_task(slots.reserve_slot(cast(Any, Asked(is_sticky=is_sticky))))


async def given_back(slots: WorkflowTaskSlots, permit: SlotPermit) -> None:
    """From another thread, as the SDK's core does it."""
    await asyncio.to_thread(slots.release_slot, SlotReleaseContext(slot_info=None, permit=permit))


async def test_tasks_of_new_jobs_wait_and_those_of_known_jobs_do_not() -> None:
    slots = WorkflowTaskSlots()
    first, *_ = [await asked(slots, is_sticky=False) for _ in range(MAX_NEW)]
    late = asked(slots, is_sticky=False)
    for _ in range(MAX_KNOWN):
        await asked(slots, is_sticky=True)
    assert not late.done()
    await given_back(slots, first)
    await late


@pytest.mark.parametrize("is_sticky", [True, False])
async def test_cancelled_wait_takes_no_permit(is_sticky: bool) -> None:
    slots = WorkflowTaskSlots()
    permits = [
        await asked(slots, is_sticky=is_sticky) for _ in range(MAX_KNOWN if is_sticky else MAX_NEW)
    ]
    gone = asked(slots, is_sticky=is_sticky)
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.wait([gone])
    await given_back(slots, permits[0])
    await asked(slots, is_sticky=is_sticky)


SHOW = """
from types import SimpleNamespace
from prometheus_client import generate_latest
from services.worker.settings.worker import WorkerSettings
from shared.pipeline.storage import Parts
from shared.pipeline.worker import activities_of
settings = WorkerSettings(callback_secret="x" * 32)
vendors = {"image": None, "video": None}
drain = state = SimpleNamespace(drain_job=0, open_records=0, record_state=0, enter_queue=0)
activities_of(Parts(settings=settings, client=None, vendors=vendors, storage=None), state, drain)
print(generate_latest().decode())
"""


def test_counters_of_a_step_begin_at_zero() -> None:
    command = [sys.executable, "-c", SHOW]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    for name in ("genvideo_worker_stored_total", "genvideo_worker_units_total"):
        for step in ("image", "video"):
            assert f'{name}{{step="{step}"}} 0.0' in shown


def test_change_is_logged_with_its_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PAYLOAD_KEY", "")
    good, bad = (f"job-{digit * 24}" for digit in "ab")
    (tmp_path / f"{good}.json").write_text(HISTORIES["failed"], encoding="utf-8")
    other = HISTORIES["failed"].replace('"gen_image"', '"gen_picture"')
    (tmp_path / f"{bad}.json").write_text(other, encoding="utf-8")
    assert main([str(tmp_path)]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (found["replayed"], list(found["failures"])) == (2, [bad])
    assert "ondeterminis" in found["failures"][bad]


def test_folder_is_required(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ([str(tmp_path / "nowhere")], [str(tmp_path), "more"], []):
        assert main(arguments) == 2
        told = capsys.readouterr()
        assert (told.out, "usage" in told.err) == ("", True)
