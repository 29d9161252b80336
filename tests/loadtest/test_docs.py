"""docs/reports.md and docs/results.md say what there is: metrics, files, sections, fields."""

import csv
import dataclasses
import io
import json
import re
import types
import typing
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from loadtest import cli
from loadtest.books import raw
from loadtest.books.model import KEPT_BY, codes
from loadtest.judge.compare import Finding
from loadtest.judge.judge import Condition, StageResult, judge
from loadtest.judge.pace import Spread
from loadtest.judge.threshold import DEFAULTS, METRICS
from loadtest.judge.tried import Claim, Tried
from loadtest.report.write import jobs_csv, results, sections
from loadtest.run.plan import Plan, planned
from loadtest.run.run import environment
from loadtest.settings import Settings
from tests.docs.pages import section, spans, tables
from tests.loadtest.forging.recorded import unpack
from tests.loadtest.synthetic import Synthetic

PAGE = Path("docs/reports.md").read_text(encoding="utf-8")
NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight")
ZH_NUMBERS = "零一二三四五六七八"


def test_each_metric_is_documented() -> None:
    rows = dict(re.findall(r"^\| `([a-z0-9_]+)` \| (.+) \|$", PAGE, re.MULTILINE))

    assert {name: rows.get(name) for name in METRICS} == METRICS


def test_defaults_are_documented() -> None:
    words = set(re.split(r"[\s`]+", PAGE))

    assert set(DEFAULTS) <= words


def test_each_file_of_a_run_is_documented(tmp_path: Path) -> None:
    run = Synthetic(tmp_path, plan=planned("1", seed="7")).write()
    run.drawn()

    for path in run.folder.path.iterdir():
        assert f"`{path.name}" in PAGE


def test_sections_are_in_the_reports_order(tmp_path: Path) -> None:
    listed = re.findall(r"^(\d+)\. \*\*(.+?)\.\*\*", PAGE, re.MULTILINE)
    run = Synthetic(tmp_path, plan=planned("1", seed="7")).write()
    titles = [section.title for section in sections(judge(run.folder))]

    assert [int(number) for number, _ in listed] == list(range(1, len(titles) + 1))
    assert [title for _, title in listed] == titles


def test_each_command_is_documented() -> None:
    for name in (cli.report.__name__, "prove"):
        assert re.search(rf"(python -m loadtest|make) {name}(?![\w-])", PAGE), name


def test_books_are_those_of_the_code() -> None:
    table = PAGE.split("| book | kept by |")[1].split("\n\n")[0]
    rows = [tuple(line.strip("| ").split(" | ")) for line in table.splitlines()[2:]]

    assert [row[:2] for row in rows] == [*KEPT_BY.items()]


@pytest.mark.parametrize("page", ["README.md", "docs/reports.md"])
def test_books_are_counted_as_in_the_code(page: str) -> None:
    text = " ".join(Path(page).read_text("utf-8").split())

    assert f"{NUMBERS[len(KEPT_BY)]} books, kept by {NUMBERS[len(codes())]} code bases" in text


def test_chinese_page_has_the_same_count() -> None:
    text = Path("README.zh-CN.md").read_text("utf-8")

    assert f"{ZH_NUMBERS[len(KEPT_BY)]}本账" in text
    assert f"{ZH_NUMBERS[len(codes())]}套" in text


RESULTS = Path("docs/results.md").read_text(encoding="utf-8")
LISTS: dict[str, type] = {
    "conditions": Condition,
    "claims": Claim,
    "tried": Tried,
    "stages": StageResult,
    "findings": Finding,
}
# Below these it is the mocks' business what they say.
OPAQUE = re.compile(
    r"vendors\.\*\.(stats|verdict)|run\.(vendors_before\.\*|faults\.\*\.rules|code\.\w+)"
)
NAMED = re.compile(r"(run\.faults|run\.vendors_before|vendors)$")


def documented(heading: str) -> set[str]:
    """Return the fields of a section; a row may have several."""
    return {
        field
        for table in tables(section(RESULTS, heading))
        for row in table.rows
        for field in spans(row[0])
    }


def of_type(kind: Any, path: str) -> Iterator[str]:
    """The fields of a type, as they are written; a spread has a table of its own."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        kind = next(each for each in inner if each is not type(None))
        origin, inner = typing.get_origin(kind), typing.get_args(kind)
        # What may be null as a whole has a line of its own.
        yield from (path,) if dataclasses.is_dataclass(kind) else ()
    if dataclasses.is_dataclass(kind) and kind is not Spread:
        hints = typing.get_type_hints(kind)
        for field in dataclasses.fields(kind):
            yield from of_type(hints[field.name], f"{path}.{field.name}")
    elif origin is list or (origin is tuple and inner[-1] is Ellipsis):
        yield from of_type(inner[0], f"{path}[]")
    elif origin in (dict, Counter):
        yield from of_type(inner[1] if origin is dict else int, f"{path}.*")
    else:
        yield path


def of_value(value: Any, path: str) -> Iterator[str]:
    """The fields of what a run noted of itself."""
    if OPAQUE.fullmatch(path) or not isinstance(value, dict):
        yield f"{path}[]" if isinstance(value, list) else path
        return
    for key, item in value.items():
        yield from of_value(item, f"{path}.{'*' if NAMED.search(path) else key}")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    run = unpack("everything-at-once", tmp_path_factory.mktemp("results") / "run")
    # What runs note since this one was recorded.
    code: dict[str, dict[str, str]] = {"services": {}, "checkout": {}}
    noted = run.read(raw.RUN)
    noted["environment"] |= {"store": "folder", "shards": 1}
    run.write(raw.RUN, noted | {"code": code})
    judgement = judge(run)
    return {"results": results(judgement), "jobs": jobs_csv(judgement)}


def test_page_lists_exactly_the_fields_of_the_results(written: dict[str, str]) -> None:
    body = json.loads(written["results"])
    top = {
        f"{name}[]" if name in LISTS or name in ("reasons", "undecided") else name for name in body
    }
    below = {path for name, kind in LISTS.items() for path in of_type(kind, f"{name}[]")}
    noted = {path for name in ("run", "vendors") for path in of_value(body[name], name)}
    spread = {f"spread.{field.name}" for field in dataclasses.fields(Spread)}

    assert documented("results.json") == top | below | noted | spread


def test_run_writes_plan_and_machine_as_documented() -> None:
    told = documented("results.json")
    plan = {re.sub(r"run\.plan\.(\w+).*", r"\1", path) for path in told if "run.plan." in path}
    where = {path.rpartition(".")[2] for path in told if "run.environment." in path}

    assert plan == set(Plan.model_fields)
    assert where == set(environment({"server": "1", "shards": 1}, Settings()))


def test_each_column_of_the_table_is_documented(written: dict[str, str]) -> None:
    heads = next(csv.reader(io.StringIO(written["jobs"])))

    assert documented("jobs.csv") == set(heads)
