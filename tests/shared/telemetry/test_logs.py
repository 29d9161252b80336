"""Log lines: their keys, and those of one job."""

import json
import subprocess
import sys
from typing import Any

import pytest

from shared.telemetry.job_lines import JobLines


def logged(code: str, *, level: str = "INFO", form: str = "json") -> str:
    """What a process prints that configures its log and runs this code; nothing on stderr."""
    begin = f"""
import logging
import structlog
from shared.telemetry import logs
logs.configure(service="worker", level={level!r}, form={form!r})
"""
    done = subprocess.run(
        [sys.executable, "-c", begin + code],
        capture_output=True,
        check=True,
        env={"PYTHONUTF8": "1"},
    )
    assert done.stderr == b""
    return done.stdout.decode()


def test_the_headers_that_let_us_in_are_in_no_log() -> None:
    said = logged(
        """
for name in ("websockets.client", "httpcore.http11", "httpx", "uvicorn.error"):
    logging.getLogger(name).debug("> X-API-Key: geheim")
logging.getLogger("services.worker").debug("ours")
""",
        level="DEBUG",
    )
    assert "ours" in said
    assert "geheim" not in said


def test_every_line_has_its_keys_in_one_order() -> None:
    said = logged("""
log = structlog.get_logger("a.logger")
log.info("plain", zebra=1, attempt=2)
with structlog.contextvars.bound_contextvars(job_id="job-1"):
    log.warning("of a job", attempt=1, zebra=2)
""")
    first, second = (list(json.loads(line)) for line in said.splitlines())
    rest = ["attempt", "logger", "zebra"]
    assert first == ["timestamp", "level", "service", "event", *rest]
    assert second == ["timestamp", "level", "service", "event", "job_id", *rest]


HOSTILE = "a\x1b[31m\x9b2J\r\nforged=1\u202eb\u2028c\u200b\ud800\U000e0041 狐狸 é🦊"
_HOSTILE = f"""
hostile = {HOSTILE!r}
structlog.get_logger("a").info("of " + hostile, tag=hostile, ids=[hostile])
logging.getLogger("library").warning("a library of %s", hostile)
try:
    raise ValueError(hostile)
except ValueError:
    structlog.get_logger("a").exception("failed")
"""


@pytest.mark.parametrize("form", ["json", "console"])
def test_other_peoples_words_command_no_terminal_and_forge_no_line(form: str) -> None:
    said = logged(_HOSTILE, form=form)
    assert all(line.isprintable() for line in said.split("\n")), said
    lines = said.splitlines()
    assert not any(line.startswith("forged") for line in lines[:2])
    assert "狐狸 é🦊" in lines[0]
    if form == "json":
        told, by_library, _ = map(json.loads, lines)
        assert (told["tag"], told["ids"]) == (HOSTILE, [HOSTILE])
        assert by_library["event"] == f"a library of {HOSTILE}"


ONE, OTHER = "job-" + "1" * 24, "job-" + "2" * 24


def take(lines: JobLines, **said: Any) -> None:
    line = {"timestamp": "2026-01-01T00:00:00Z", "level": "info", "service": "worker", **said}
    assert lines(None, "info", line) is line


def test_a_job_has_its_own_lines_alone_and_others_are_not_kept() -> None:
    lines = JobLines()
    take(lines, event="accepted", job_id=ONE, attempt=1, logger="a.logger")
    take(lines, event="accepted", job_id=OTHER)
    take(lines, event="Uvicorn running")
    take(lines, event="of no job", job_id=["all"])

    [line] = lines.of(ONE)
    assert (line.service, line.level, line.text) == ("worker", "info", "accepted attempt=1")
    assert lines.of("") == []


def test_only_the_last_ones_are_kept() -> None:
    lines = JobLines(most=2)
    for number in range(3):
        take(lines, event=str(number), job_id=ONE)

    assert [line.text for line in lines.of(ONE)] == ["1", "2"]


def test_what_looks_like_a_secret_is_hidden_and_a_line_is_of_one_line() -> None:
    lines = JobLines()
    take(lines, event="failed", job_id=ONE, reason="api_key=geheim", exception="a\nValueError: b")
    take(lines, event="long", job_id=ONE, reason="word " * 10_000)

    first, second = lines.of(ONE)
    assert "geheim" not in first.text
    assert first.text.endswith("ValueError: b")
    assert len(second.text) <= 500


def test_another_thread_may_log_while_they_are_looked_through() -> None:
    lines = JobLines()

    class Logging(str):
        """Lets a line come in while it is compared."""

        __hash__ = str.__hash__

        def __eq__(self, other: object) -> bool:
            take(lines, event="meanwhile", job_id=OTHER)
            return super().__eq__(other)

    take(lines, event="accepted", job_id=Logging(ONE))

    assert [line.text for line in lines.of(ONE)] == ["accepted"]
