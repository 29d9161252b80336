"""What the sections show: a stage by one name everywhere, and the slowest by their own work."""

import re
from pathlib import Path

import pytest

from loadtest.books import raw
from loadtest.judge.judge import Judgement, judge
from loadtest.report.page import Section, Table
from loadtest.report.sections import jobs, pace
from loadtest.report.write import sections
from loadtest.run.plan import Options
from tests.loadtest.synthetic import Synthetic, job_id
from tests.loadtest.synthetic_job import Row

NAME = re.compile(r"\d+ \(\d+ jobs?\)")


@pytest.fixture
def ladder(tmp_path: Path) -> Judgement:
    run = Synthetic(tmp_path, plan=Options(stages="1,25", seed="7").plan()).write()
    run.edit(raw.STATES, lambda rows: rows.pop())
    return judge(run.folder)


def tables(found: list[Section]) -> list[Table]:
    return [block for section in found for block in section.blocks if isinstance(block, Table)]


def test_every_table_calls_a_stage_alike(ladder: Judgement) -> None:
    told = []
    for table in tables(sections(ladder)):
        heads = [head.removeprefix("#") for head in table.heads]
        told += [head.removeprefix("stage ") for head in heads if head.startswith("stage ")]
        for place in [place for place, head in enumerate(heads) if head == "stage"]:
            told += [cells[place].text for cells in table.rows]

    assert len(told) > 40
    assert [text for text in told if not NAME.fullmatch(text)] == []


def test_reasons_call_it_so_too(ladder: Judgement) -> None:
    assert "lost==0: measured 1 in stage 2 (25 jobs)" in ladder.reasons


def test_the_slowest_are_those_that_worked_longest(tmp_path: Path) -> None:
    run = Synthetic(tmp_path, plan=Options(stages="25", seed="7").plan()).write()

    def early(rows: list[Row]) -> None:
        """The third job had its permit half a second sooner, and used it worse."""
        rows[2]["granted"] -= 0.5

    run.edit(raw.TEMPORAL, early)
    table = tables([jobs.worst(judge(run.folder))])[0]

    assert table.rows[0][0].text == job_id(0, 2)
    assert table.rows[0][3].text == "1.56 s"
    assert table.rows[0][6].text.startswith("image 1 ")


def test_the_parts_add_up_to_what_the_table_says(ladder: Judgement) -> None:
    rows = {cells[0].text: cells for cells in tables([pace.efficiency(ladder)])[0].rows}
    total, makespan = rows["sum, to the last close"], rows["slots x makespan, to the last end"]

    assert total[2].text == "100.0%"
    assert float(makespan[4].text.rstrip("%")) <= 100.0
