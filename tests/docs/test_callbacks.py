"""The page about callbacks says what the code does: the race's outcomes, and every bound."""

import re

import pytest

from services.callback import __main__ as process
from services.callback import receiver, signals
from services.callback.books import committer, entries
from services.callback.http import body, guard
from shared.http import web
from tests.docs.pages import ROOT, read, spans, tables_headed
from tests.workflow.race import DECIDED

PAGE = read(ROOT / "docs" / "callbacks.md")
RACE = ROOT / "tests" / "workflow" / "test_race.py"


def test_the_race_is_decided_as_the_tests_are() -> None:
    [table] = tables_headed(PAGE, "case")
    told = {
        case: (status.strip("`"), int(videos), tuple(spans(fates)))
        for case, _, status, videos, fates, _ in table.rows
    }
    assert told == {case: (it.status, it.videos, it.fates) for case, it in DECIDED.items()}


@pytest.mark.parametrize("case", DECIDED)
def test_each_case_has_a_test_of_its_own(case: str) -> None:
    [table] = tables_headed(PAGE, "case")
    [name] = [spans(row[5])[0] for row in table.rows if row[0] == case]
    text = read(RACE).partition(f"async def {name}(")[2].partition("\nasync def ")[0]
    assert f'"{case}"' in text


@pytest.mark.parametrize(
    "said",
    [
        f"{web.HEAD_BYTES // 1024} KiB",
        f"{body.MAX_BODY // 1024} KiB, {body.READ_SECONDS:g} s; "
        f"{body.MAX_READING // 1024**2} MiB for all",
        f"{committer.MAX_WAITING} events may wait",
        f"signalled to the job | 503, and it stays kept | {signals.SIGNAL_SECONDS:g} s",
        f"{receiver.JOBS_AT_ONCE} jobs at a time",
        f"looked at every {receiver.REVIEW_SECONDS:g} s",
        f"At most {entries.MAX_QUARANTINED} do at a time",
        f"| connections | {process.CONNECTIONS} |",
        *(f"`{path}`" for path in sorted(guard.FOR_EVERYBODY)),
        f"| rows of one job | {entries.MAX_NOTED},",
        f"| rows of forged ones for one job | {entries.MAX_REJECTED};",
    ],
)
def test_the_bounds_are_those_of_the_code(said: str) -> None:
    assert said in re.sub(r"\s+", " ", PAGE)
