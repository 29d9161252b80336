"""The annotated picture: its numbers point at things that the report has."""

from pathlib import Path

import pytest

from loadtest.judge.judge import judge
from loadtest.report import picture
from loadtest.report.write import write_report
from loadtest.run.plan import Options
from tests.loadtest.synthetic import Synthetic


@pytest.fixture
def report(tmp_path: Path) -> Path:
    run = Synthetic(tmp_path, plan=Options(stages="1,5", seed="7").plan()).write()
    write_report(run.folder, judge(run.folder))
    return run.folder.path / "report.html"


def test_each_note_is_on_the_page(report: Path) -> None:
    page = picture.annotated(report.read_text("utf-8"))

    assert page.split('<ol class="notes">')[1].split("</ol>")[0].count("<li>") == len(picture.NOTES)
    for selector, _ in picture.NOTES:
        assert f'id="{selector[1:3]}"' in page
        assert f'["{selector}"' in page.replace("'", '"')


def test_without_a_browser_it_says_which_would_do(
    report: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(picture, "BROWSERS", ("no-such-browser",))

    with pytest.raises(picture.NoBrowser, match="no-such-browser"):
        picture.picture(report, report.with_suffix(".png"))
