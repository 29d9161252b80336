"""The report's files: complete, self-contained, escaped, small; and what their sections show."""

import csv
import html
import io
import re
from collections.abc import Callable
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest
from markdown_it import MarkdownIt

from loadtest.books import raw
from loadtest.books.prompts import prompt
from loadtest.judge.judge import Judgement, judge
from loadtest.report.page import POLICY, Section, Table
from loadtest.report.sections import jobs
from loadtest.report.write import sections, write_report
from loadtest.run.plan import planned
from tests.loadtest.forging.recorded import unpack
from tests.loadtest.synthetic import Row, Synthetic, job_id, put

SECTIONS = len(re.findall(r"^\d+\. \*\*", Path("docs/reports.md").read_text("utf-8"), re.MULTILINE))
VOID = {"meta", "path", "rect", "br", "input", "line"}


class Outline(HTMLParser):
    """Checks that tags nest, and collects headings and what would be fetched."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.headings = 0
        self.fetched: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.fetched += [str(values[key]) for key in ("src", "data", "poster") if key in values]
        if tag in ("link", "script", "iframe", "img"):
            self.fetched.append(tag)
        self.headings += tag == "h2"
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = Synthetic(tmp_path_factory.mktemp("written"), plan=planned("1,150", seed="7")).write()
    run.drawn()
    return run.folder.path


def test_page_has_all_sections_and_loads_nothing(written: Path) -> None:
    page = (written / "report.html").read_text("utf-8")
    outline = Outline()
    outline.feed(page)

    assert outline.open == []
    assert outline.headings == SECTIONS
    assert outline.fetched == []
    assert "url(" not in page
    assert POLICY in html.unescape(page)
    assert any(prompt(7, 1, place) in html.unescape(page) for place in range(150))


def test_linked_files_exist(tmp_path: Path) -> None:
    run = Synthetic(tmp_path).write()
    page = run.drawn()
    found = {href for href in re.findall(r'href="([^"]+)"', page) if ":" not in href}
    inside, beside = {h for h in found if h[0] == "#"}, {h for h in found if h[0] != "#"}

    assert f"histories/{job_id(0, 1)}.json" in beside
    assert [href for href in beside if not (run.folder.path / href).exists()] == []
    assert [href for href in inside if f'id="{href[1:]}"' not in page] == []
    # Each of them has one for the reader who has opened the page in Chinese.
    assert {f"#zh-{h[1:]}" for h in inside if not h.startswith("#zh-")} <= inside


def test_cells_name_their_column_on_a_narrow_screen(written: Path) -> None:
    page = (written / "report.html").read_text("utf-8")

    assert page.count("<td ") == page.count(" data-head=") > 100
    assert 'data-head="what it is"' in page


def test_each_generation_is_drawn_at_its_time(tmp_path: Path) -> None:
    run = Synthetic(tmp_path).write()
    [first, lanes] = re.findall(r"<svg.*?</svg>", run.drawn(), re.S)
    bar = r'<rect class="image" x="([\d.]+)%" width="([\d.]+)%"'
    images = [(float(x), float(width)) for x, width in re.findall(bar, lanes)]

    for drawn in (first, lanes):
        assert drawn.count('class="image"') == drawn.count('class="video"') == 3
    assert images == sorted(images)
    assert all(x + width <= later for (x, width), (later, _) in pairwise(images))


def test_lanes_show_faults_and_kills(honest: Synthetic) -> None:
    one = list(honest.folder.rows(raw.LEDGERS["image"]))[2]
    hit = {"service": "image", "rule": "<b>", "where": "start", "do": "slow"}
    honest.add(raw.FAULTS, [hit | {"external_id": one["external_id"], "at": one["accepted_at"]}])
    at = {"name": "worker", "at": one["accepted_at"]}
    honest.add(raw.PROCESSES, [at | {"cpu": 5.0}, at | {"cpu": 1.0}])
    judgement = judge(honest.folder)
    write_report(honest.folder, judgement)
    picture = ElementTree.fromstring((honest.folder.path / "lanes.svg").read_bytes())  # noqa: S314
    bars = picture.findall(".//{*}rect[{*}title]")
    titles = {bar.get("class"): bar[0].text for bar in bars}

    assert titles.keys() == {"image", "video", "slot", "mark", "fault", "kill"}
    assert (titles["fault"], titles["kill"]) == ("start.slow (<b>)", "worker")
    assert sum(bar.get("class") == "slot" for bar in bars) == 4
    assert judgement.headline in {text.text for text in picture.findall(".//{*}text")}


def test_first_section_of_a_failed_run_names_the_jobs_and_their_errors(tmp_path: Path) -> None:
    folder = unpack("hopeless-generations", tmp_path)
    run = folder.read(raw.RUN)
    run["plan"]["thresholds"].append("success_rate>=1")
    folder.write(raw.RUN, run)
    first, *_, last = sections(judge(folder))
    tables = [
        [block for block in section.blocks if isinstance(block, Table)] for section in (first, last)
    ]
    [named], [whole] = ([t for t in each if "Not succeeded" in t.caption] for each in tables)

    assert {cells[4].text for cells in named.rows} == {"generation_failed: generation failed"}
    assert [cells[:5] for cells in whole.rows] == named.rows
    for chain in (cells[5].text.split(" → ") for cells in whole.rows):
        assert len(chain) > 1
        assert all(one != after for one, after in pairwise(chain))


def test_markdown_has_all_sections(written: Path) -> None:
    text = (written / "report.md").read_text("utf-8")

    assert [int(n) for n in re.findall(r"^## (\d+)\.", text, re.M)] == list(range(1, SECTIONS + 1))
    assert "PASS: 151 of 151" in text


def test_table_has_a_line_for_each_job(written: Path) -> None:
    rows = list(csv.DictReader(io.StringIO((written / "jobs.csv").read_text("utf-8"))))

    assert len(rows) == 151
    assert rows[1]["job_id"] == job_id(1, 0)
    assert float(rows[1]["service_s"]) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("bend", "failed"),
    [
        (list.pop, ["lost==0"]),
        (
            lambda rows: put(rows[1], "record", "transitions", 1, version=7),
            ["disagreements==0", "states.record.transitions[].version"],
        ),
    ],
    ids=["a condition", "a rule"],
)
def test_junit_names_each_failure(
    tmp_path: Path, bend: Callable[[list[Row]], object], failed: list[str]
) -> None:
    run = Synthetic(tmp_path).write()
    run.edit(raw.STATES, bend)
    suite = ElementTree.fromstring(run.drawn("junit.xml"))  # noqa: S314

    named = [case.get("name") for case in suite if case.find("failure") is not None]
    assert set(failed) <= set(named)
    assert suite.get("failures") == str(len(named))


def test_prompts_and_vendors_messages_are_escaped(tmp_path: Path) -> None:
    run = Synthetic(tmp_path, plan=planned("2", seed="7")).write()
    hostile = "<script>alert(1)</script> | pipe"
    run.edit(raw.SUBMITS, lambda rows: rows[0].update(prompt=hostile))
    run.edit(raw.LEDGERS["image"], lambda rows: rows[0].update(outcome=hostile, error=hostile))
    run.edit(raw.RECEIPTS, lambda rows: rows[0].update(task_status=hostile))
    page = run.drawn()

    assert "<script" not in page
    assert page.count("&lt;script&gt;alert(1)") >= 4
    assert "\\| pipe" in (run.folder.path / "report.md").read_text("utf-8")


def test_large_run_has_a_small_page(tmp_path: Path) -> None:
    run = Synthetic(tmp_path, plan=planned("310", seed="7")).write()
    assert len(run.drawn().encode()) < 200_000


@pytest.mark.parametrize(
    ("mocks", "said", "unsaid"),
    [
        ((), ["Mocks were off"], ["Only the"]),
        (
            ("video",),
            ["Only the video service was a mock", "whose video succeeded"],
            ["Mocks were off", "whose image succeeded"],
        ),
    ],
)
def test_report_without_mocks_states_what_it_cannot_show(
    tmp_path: Path, mocks: tuple[str, ...], *, said: list[str], unsaid: list[str]
) -> None:
    plan = planned("3", seed="7", mocks=mocks)
    run = Synthetic(tmp_path, plan=plan, mocks=mocks).write()
    text = run.drawn("report.md")

    assert [words for words in said if words not in text] == []
    assert [words for words in [*unsaid, "both vendors' clocks"] if words in text] == []


def test_pipeline_of_one_mocked_vendor_lacks_no_book(honest: Synthetic) -> None:
    stage = {"name": "video", "vendor": "video", "called_back": True}
    honest.told(raw.RUN, stages=[stage], mocks=["video"])
    text = honest.drawn("report.md")

    assert "| with a callback received |" in text
    assert "| whose video succeeded |" in text
    absent = ("Only the", "Without mocks", "without mocks", "whose image")
    assert [words for words in absent if words in text] == []


@pytest.mark.parametrize(
    ("digest", "said"),
    [("1", "| that of the checkout"), ("2", "other code than that of the checkout: api.")],
)
def test_services_of_other_code_are_named(honest: Synthetic, digest: str, said: str) -> None:
    code = {"services": {"api": {"shared": digest}}, "checkout": {"shared": "1"}}
    honest.replace(raw.RUN, honest.folder.read(raw.RUN) | {"code": code})
    assert said in honest.drawn("report.md")


def test_failed_run_names_services_that_did_not_answer_in_its_verdict(honest: Synthetic) -> None:
    rows = [{"name": "api", "at": at, "cpu": at} for at in range(4)]
    honest.add(raw.PROCESSES, [*rows, {"name": "worker-1", "at": 0, "cpu": 0}])
    said = "Not all services answered each time: worker-1 answered 1 of 4 times."
    assert said not in honest.drawn("report.md")

    honest.replace(raw.RUN, honest.folder.read(raw.RUN) | {"why": "stalled"})
    assert said in honest.drawn("report.md").partition("## 2.")[0]


def test_outside_text_is_escaped_in_the_markdown(tmp_path: Path) -> None:
    words = "![x](https://evil.example/a) <img src=y> | [z](javascript:1)"
    run = Synthetic(tmp_path).write()
    facts = {**run.folder.read(raw.RUN), "command": f"make test-3\n```\n{words}"}
    run.replace(raw.RUN, facts)
    run.edit(raw.SUBMITS, lambda rows: [row.update(prompt=words) for row in rows])
    text = run.drawn("report.md")
    rendered = MarkdownIt("commonmark").enable("table").render(text)

    assert html.escape(words.split("|")[0].strip()) in rendered
    outline = Outline()
    outline.feed(rendered)
    assert outline.fetched == []
    assert "javascript" not in "".join(re.findall('href="[^"]*"', rendered))


NAME = re.compile(r"\d+ \(\d+ jobs?\)")


@pytest.fixture
def ladder(tmp_path: Path) -> Judgement:
    run = Synthetic(tmp_path, plan=planned("1,25", seed="7")).write()
    run.edit(raw.STATES, lambda rows: rows.pop())
    return judge(run.folder)


def tables(found: list[Section]) -> list[Table]:
    return [block for section in found for block in section.blocks if isinstance(block, Table)]


def test_every_table_uses_the_same_name_of_a_stage(ladder: Judgement) -> None:
    told = []
    for table in tables(sections(ladder)):
        heads = [head.removeprefix("#") for head in table.heads]
        told += [head.removeprefix("stage ") for head in heads if head.startswith("stage ")]
        for place in [place for place, head in enumerate(heads) if head == "stage"]:
            told += [cells[place].text for cells in table.rows]

    assert len(told) > 40
    assert [text for text in told if not NAME.fullmatch(text)] == []


def test_slowest_jobs_are_those_that_worked_longest(tmp_path: Path) -> None:
    run = Synthetic(tmp_path, plan=planned("25", seed="7")).write()

    def early(rows: list[Row]) -> None:
        """The third job had its permit half a second sooner, and used it worse."""
        rows[2]["granted"] -= 0.5

    run.edit_runs(early)
    table = tables([jobs.worst(judge(run.folder))])[0]

    assert table.rows[0][0].text == job_id(0, 2)
    assert table.rows[0][3].text == "1.55 s"
    assert table.rows[0][6].text.startswith("image 1 ")
