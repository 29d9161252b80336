"""The books of a healthy run, in which one thing is forged."""

from collections.abc import Callable
from typing import Any

from loadtest.books.load import load
from tests.chaos.evidence import Evidence
from tests.chaos.judgement import Rule, violations
from tests.loadtest.synthetic import Synthetic, job_id

FIRST, SECOND, THIRD = (job_id(0, index) for index in range(3))
FREE = {"limit": 1, "paused": False, "holders": [], "waiting_count": 0}
Row = dict[str, Any]


def evidence(run: Synthetic) -> Evidence:
    versions = dict.fromkeys((FIRST, SECOND, THIRD), 3)
    return Evidence(load(run.folder), FREE, versions=versions, tail=frozenset({THIRD}))


def broken(found: Evidence) -> set[Rule]:
    return {violation.rule for violation in violations(found)}


def of(job: str, change: Callable[[Row], object]) -> Callable[[list[Row]], object]:
    """A change of one job's rows."""

    def edit(rows: list[Row]) -> None:
        for row in rows:
            named = row.get("external_id") or row.get("job_id") or row["job"]["job_id"]
            if str(named).startswith(job):
                change(row)

    return edit
