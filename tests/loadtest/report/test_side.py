"""Two builds beside each other: the page passes when the wrong one was caught."""

from pathlib import Path

from loadtest.books import raw
from loadtest.judge.judge import judge
from loadtest.report.write import write_side_by_side
from loadtest.run.plan import Options
from tests.loadtest.synthetic import Synthetic
from tests.loadtest.synthetic_job import Row


def test_the_controls_violations_stand_beside_ours(tmp_path: Path) -> None:
    def overlap(rows: list[Row]) -> None:
        for row in rows:
            row["accepted_at"] -= 0.9

    plan = Options(stages="5", seed="7").plan()
    ours = Synthetic(tmp_path, plan=plan, run_id="ours").write()
    control = Synthetic(tmp_path, plan=plan, run_id="control").write()
    control.edit(raw.LEDGERS["image"], overlap)
    write_side_by_side(ours.folder, judge(ours.folder), judge(control.folder))

    text = (ours.folder.path / "peers.md").read_text("utf-8")
    assert "| max_at_once<=limit | 1 | ✅ holds | 2 | ❌ broken |" in text
    assert "| violations of the limit | 0 | 4 |" in text
    assert 'class="passed"' in (ours.folder.path / "peers.html").read_text("utf-8")
