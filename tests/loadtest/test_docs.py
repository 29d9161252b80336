"""docs/reports.md says what there is: metrics, defaults, files, sections, commands."""

import re
from pathlib import Path

import pytest

from loadtest.books.model import WITNESSES, codes
from loadtest.cli import app
from loadtest.judge.judge import judge
from loadtest.judge.threshold import DEFAULTS, METRICS
from loadtest.report.write import sections, write_report
from loadtest.run.plan import Options
from tests.loadtest.synthetic import Synthetic

PAGE = Path("docs/reports.md").read_text(encoding="utf-8")
NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight")
ZH_NUMBERS = "零一二三四五六七八"


def test_each_metric_has_its_line() -> None:
    rows = dict(re.findall(r"^\| `([a-z0-9_]+)` \| (.+) \|$", PAGE, re.MULTILINE))

    assert {name: rows.get(name) for name in METRICS} == METRICS


def test_the_defaults_are_named() -> None:
    words = set(re.split(r"[\s`]+", PAGE))

    assert set(DEFAULTS) <= words


def test_each_file_of_a_run_is_named(tmp_path: Path) -> None:
    run = Synthetic(tmp_path, plan=Options(stages="1", seed="7").plan()).write()
    write_report(run.folder, judge(run.folder))

    for path in run.folder.path.iterdir():
        assert f"`{path.name}" in PAGE


def test_the_sections_are_in_the_reports_order(tmp_path: Path) -> None:
    listed = re.findall(r"^(\d+)\. \*\*(.+?)\.\*\*", PAGE, re.MULTILINE)
    run = Synthetic(tmp_path, plan=Options(stages="1", seed="7").plan()).write()
    titles = [section.title for section in sections(judge(run.folder))]

    assert [int(number) for number, _ in listed] == list(range(1, len(titles) + 1))
    assert [title for _, title in listed] == titles


def test_each_command_is_named() -> None:
    functions = (each.callback for each in app.registered_commands)
    names = {function.__name__.replace("_", "-") for function in functions if function}

    assert "report" in names
    for name in names - {"run", "ladder"}:
        assert re.search(rf"(python -m loadtest|make) {name}(?![\w-])", PAGE), name


def test_the_books_are_those_of_the_code() -> None:
    table = PAGE.split("| book | kept by |")[1].split("\n\n")[0]
    rows = [tuple(line.strip("| ").split(" | ")) for line in table.splitlines()[2:]]

    assert rows == [(each.name, each.code, each.made_of, each.says) for each in WITNESSES]


@pytest.mark.parametrize(
    ("page", "sentence"),
    [
        ("README.md", "{} books, kept by {} code bases"),
        ("docs/reports.md", "{} books tell of it. They are kept by {} code bases"),
    ],
)
def test_books_are_counted_as_the_code_counts_them(page: str, sentence: str) -> None:
    text = " ".join(Path(page).read_text("utf-8").split()).lower()

    assert sentence.format(NUMBERS[len(WITNESSES)], NUMBERS[len(codes())]).lower() in text


def test_the_chinese_page_counts_them_alike() -> None:
    text = Path("README.zh-CN.md").read_text("utf-8")

    assert f"{ZH_NUMBERS[len(WITNESSES)]}本账" in text
    assert f"{ZH_NUMBERS[len(codes())]}套" in text
