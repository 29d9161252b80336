"""Nothing is decided by the clock of this machine: it may be a day ahead, or behind."""

import ast
from datetime import timedelta
from pathlib import Path

import pytest

import services.semaphore
import shared.semaphore
from shared.jobs.slots import JOB_GATE
from shared.semaphore.rebuild import RECENT, find_jobs
from tests.fixtures.eventually import eventually
from tests.shared.semaphore.standins import Jobs

FOLDERS = [Path(each.__path__[0]) for each in (services.semaphore, shared.semaphore)]
SOURCES = [path for folder in FOLDERS for path in sorted(folder.rglob("*.py"))]
CLOCKS = ("now", "utcnow", "today", "time", "time_ns")


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_only_temporal_is_asked_for_the_time(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            asked = ast.unparse(node.func)
            assert node.func.attr not in CLOCKS or asked == "workflow.now", asked


async def test_which_kills_are_recent_is_judged_by_the_servers_time(jobs: Jobs) -> None:
    """What a run had asked for is judged by the same time, and no other."""
    handle = await jobs.begin("killed")
    await handle.terminate()
    closed = (await handle.describe()).close_time
    assert closed is not None

    async def found(after: timedelta) -> list[str]:
        seen = await find_jobs(jobs.client, JOB_GATE, now=closed + after)
        return [each.request.job_id for each in seen]

    await eventually(lambda: found(timedelta()), lambda jobs: jobs == ["killed"])
    assert await found(RECENT - timedelta(minutes=1)) == ["killed"]
    assert await found(RECENT + timedelta(minutes=1)) == []
