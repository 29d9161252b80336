"""What is told of a process that ended by itself."""

import json
from pathlib import Path

import pytest

from compose.stack.processes.log import TAIL_BYTES, last_error


def record(level: str, event: str) -> str:
    return json.dumps({"event": event, "level": level, "logger": "uvicorn.error"})


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (
            [record("error", "older"), record("error", "port taken"), record("info", "x")],
            "port taken",
        ),
        (["Error: no disk", record("info", "shutdown complete")], "Error: no disk"),
        ([record("critical", "the work has failed"), "{not json"], "the work has failed"),
        ([record("info", "all is well")], None),
        (["7", '["error"]', ""], '["error"]'),
        ([], None),
    ],
)
def test_the_last_line_that_tells_of_an_error(
    tmp_path: Path, lines: list[str], said: str | None
) -> None:
    log = tmp_path / "semaphore.log"
    log.write_text("\n".join(lines))
    assert last_error(log) == said


def test_only_the_end_of_a_long_log_is_read(tmp_path: Path) -> None:
    log = tmp_path / "semaphore.log"
    log.write_text(record("error", "long ago") + "\n" + "fine\n" * TAIL_BYTES)
    assert last_error(log) is None


def test_a_log_that_is_not_there_tells_of_none(tmp_path: Path) -> None:
    assert last_error(tmp_path / "no.log") is None
