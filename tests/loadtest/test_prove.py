"""The page of `make prove`: a line for each run, with its headline, its report and its seal."""

import re
import subprocess
from pathlib import Path

import pytest

from compose.stack.commands import prove
from loadtest.books import raw
from loadtest.prove import SHOWS, Ending, Proof
from loadtest.run.plan import planned
from tests.loadtest.synthetic import Synthetic

HOSTILE = '<script>alert(1)</script>" onload="x'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The parts have run: the ladder well, and of the control one build is wrong."""
    found = tmp_path / "prove-1"
    plan = planned("2", seed="7")
    for place in ("ladder", "control/lane-0/two-holders/reports"):
        run = Synthetic(found / place, plan=plan, run_id="run").write()
        if "control" in place:
            run.edit(raw.LEDGERS["video"], lambda rows: rows[0].update(charged=2))
        run.drawn()
        run.folder.point_latest()
    return found


def proof(folder: Path, **reasons: str) -> Proof:
    endings = [Ending(name, int(name in reasons), 60.0, reasons.get(name, "")) for name in SHOWS]
    return Proof(folder, "make prove SEED=7", endings)


def test_parts_of_the_page_are_those_that_run() -> None:
    assert [*prove.PARTS] == [*SHOWS]


def test_each_run_is_listed_once_with_its_report_and_seal(folder: Path) -> None:
    root = proof(folder).draw()
    text = (folder / "report.md").read_text("utf-8")
    links = re.findall(r"^\| (\w+) \| \[(PASS|FAIL): .*\]\((.+)\) \| (\w{64}) \|$", text, re.M)

    assert [(part, verdict) for part, verdict, *_ in links] == [
        ("ladder", "PASS"),
        ("control", "FAIL"),
    ]
    for _, _, report, seal in links:
        assert seal in (folder / report).read_text("utf-8")
    assert f"| {root} |" in text
    assert subprocess.run(("sha256sum", "-c", "--quiet", "SHA256SUMS"), cwd=folder).returncode == 0
    assert len((folder / "SHA256SUMS").read_text("utf-8").splitlines()) == 2


def test_part_that_failed_shows_nothing_and_its_reason_is_escaped(folder: Path) -> None:
    proof(folder, faults=HOSTILE).draw()
    html = (folder / "report.html").read_text("utf-8")
    [row] = re.findall(r"^\| faults \|.*$", (folder / "report.md").read_text("utf-8"), re.M)

    assert row.endswith("| nothing, this time |")
    assert "alert(1)" in html
    assert "<script" not in html
    assert not re.search(r"<[^>]* onload=", html)
