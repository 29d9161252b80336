"""The page about callbacks says what the code does: the race's outcomes, and every bound."""

import re

import pytest

from services.callback import __main__ as program
from services.callback import app, receipts, receiver, routes
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
        f"| {receiver.AT_ONCE} callbacks at a time |",
        f"{routes.MAX_BODY // 1024} KiB, {routes.READ_SECONDS:g} s",
        f"undecided | 503 | {receipts.MOST} of a job |",
        f"signalled to the job | 503 | {receiver.SIGNAL_SECONDS:g} s",
        f"after {receipts.ABANDONED.seconds} s as `applied`",
        f"| connections | {program.CONNECTIONS} |",
        *(f"`{path}`" for path in sorted(app.FOR_EVERYBODY)),
        f"| receipts of one job | {receipts.MOST} |",
        f"| receipts of forged ones for one job | {receipts.MOST_FORGED};",
        f"| forged ones that are being noted | {receiver.AT_ONCE // 2} |",
    ],
)
def test_the_bounds_are_those_of_the_code(said: str) -> None:
    assert said in re.sub(r"\s+", " ", PAGE)
