"""The page: the answer first, in numbers, with links; nothing of what it tells is markup."""

import re

from loadtest.prove import page
from loadtest.prove.page import drawn, sections
from loadtest.prove.proof import PARTS, PLAN
from loadtest.report.page import Table, Tiles
from tests.loadtest.prove.made import Made

HOSTILE = '<script>alert(1)</script>" onload="x'


def test_the_first_section_has_verdict_numbers_and_a_way_to_each_report(made: Made) -> None:
    answer = sections(drawn(made.folder, seal=True))[0]

    [tiles] = [block for block in answer.blocks if isinstance(block, Tiles)]
    told = {name: value for name, value, _ in tiles.tiles}
    assert told["verdict"] == "PASS"
    assert (told["jobs"], told["faults fired"], told["paid generations"]) == ("10", "1", "20")
    assert (told["paid twice"], told["rules broken"], told["took"]) == ("0", "0", "300 s")
    parts, _ = [block for block in answer.blocks if isinstance(block, Table)]
    assert [cells[0].text for cells in parts.rows] == [part.name for part in PARTS]
    assert all((made.folder / cells[0].href).parent.is_dir() for cells in parts.rows)
    html = (made.folder / "report.html").read_text("utf-8")
    assert all(f'href="{cells[0].href}"' in html for cells in parts.rows)


def test_what_was_not_run_is_said_not_to_be_shown(made: Made) -> None:
    made.never_ended("chaos")
    drawn(made.folder)
    text = (made.folder / "report.md").read_text("utf-8")

    assert "FAIL: chaos not run" in text
    assert "not to its end: chaos" in text
    [row] = re.findall(r"^\| chaos \|.*$", text, re.MULTILINE)
    assert row.endswith("| nothing, this time |")
    assert PARTS[0].shows in text


def test_what_is_told_is_no_markup(made: Made) -> None:
    made.result("chaos", {"rule": HOSTILE, "who": HOSTILE, "text": HOSTILE})
    made.ended("ladder", status=1, reason=HOSTILE)
    plan = made.raw.read(PLAN)
    made.raw.write(PLAN, plan | {"mode": HOSTILE, "seed": HOSTILE, "command": HOSTILE})
    drawn(made.folder)
    html = (made.folder / "report.html").read_text("utf-8")

    assert "alert(1)" in html
    assert "<script" not in html
    assert not re.search(r"<[^>]* onload=", html)


def test_many_reasons_are_counted(made: Made) -> None:
    violation = {"rule": "r", "who": "w", "text": "t"}
    made.result("kills", *[violation] * (page.MOST_REASONS + 7))
    drawn(made.folder)

    assert "And 7 more reasons" in (made.folder / "report.html").read_text("utf-8")
