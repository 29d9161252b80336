"""What is kept of a log for the page: lines of jobs alone, the last ones, and no secret."""

from typing import Any

from shared.telemetry.job_lines import JobLines

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
