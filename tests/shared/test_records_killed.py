"""The writer of a record is killed at each of its steps: what is there can always be read."""

import asyncio
import json
import sys
from pathlib import Path

from tests.shared.writer_that_dies import JOB_ID


async def test_killed_writer_leaves_a_whole_version(tmp_path: Path) -> None:
    writer = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.shared.writer_that_dies", tmp_path,
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    said, _ = await writer.communicate()
    children = [json.loads(line) for line in said.splitlines()]
    assert writer.returncode == 0
    assert [each for each in children if each["read"] - each["before"] not in (0, 1)] == []
    # Some die before the file is replaced and some after; the last one comes through.
    assert {each["read"] - each["before"] for each in children[:-1]} == {0, 1}
    assert children[-1]["read"] - children[-1]["before"] == 1
    left = sorted(path.name for path in (tmp_path / "state" / "jobs").glob("*.part"))
    assert all(name.startswith(f".{JOB_ID}.json.") for name in left)
