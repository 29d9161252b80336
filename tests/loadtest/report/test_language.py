"""The report in both languages: every text of it is in the table, and one file shows either."""

import json
import re
from html import unescape
from pathlib import Path

import pytest

from loadtest.books import raw
from loadtest.judge.fields import FIELDS
from loadtest.judge.judge import judge
from loadtest.report.page import Section, Table, both, html, own, row
from loadtest.report.sections import jobs
from loadtest.report.write import sections
from loadtest.run.plan import planned
from shared.texts import COMMANDS, PAGE, REPORT, translated
from tests.loadtest.forging.recorded import unpack
from tests.loadtest.synthetic import Synthetic
from tests.shared.said import PROSE, said

TABLE: dict[str, str] = json.loads(REPORT.read_text(encoding="utf-8"))
KNOWN = {text for file in (PAGE, COMMANDS, REPORT) for text in json.loads(file.read_bytes())}
SECTIONS = [*Path("loadtest/report/sections").glob("*.py"), Path("loadtest/prove.py")]
# The table of fields consists of names, and of the texts by which they are held.
LABELS = {*Path("loadtest/judge").glob("*.py")} - {Path("loadtest/judge/fields.py")}
HELD = {held.by for table in FIELDS.values() for held in table.values()}
NOT_SAID = {
    *(
        "waiting until the vend",
        "code injected",
        *("{how} token", "lost by {1}", "of[{1} {2}]."),
        "{1} stored",
        *("the job may take", "until the vendors are cleared again"),
        r"the pause before (\w+) (\d+)",
    ),
    "sha256sum -c SHA256SUMS",
    "{1}: {2}: {3}",
    *(" and {1} more (results.json)", " in stage {1}"),
    *(", at most {1} at once", "{1}: measured {2}{3}", "{1}: {2} of {3} jobs succeeded{4}"),
    "{1} is damaged: its plan has no threshold in {2}",
    "{1} is damaged: {2}: {3}",
    *(
        "{1}, {2}",
        "{1}.{2} ({3})",
        "{1}{2} ({3}; {4})",
        "attempt {1} of {2} follows",
        "{1}: {2}, {3}",
        " jobs, {1}",
    ),
    *("{1} (attempt {2})", "{1} {2}: {3}"),
    *("{1} {2}", "{1}: {2}", "by {1} {2}"),
}
# Made of several, with a capital of its own, or of the template.
MADE = {
    "Sections",
    *("{1}: job-{2}: {3}", "{1}: the run: {2}"),
    "{1} and {2} more (results.json)",
    *("ledgers, receipts", "runner, Temporal", "slot, runner"),
    *("none lost, none late, none doubled", "{1} attempts", "{1} jobs, {2}"),
    *("stage {1} (1 job)", "stage {1} ({2} jobs)", "{1} (1 job)", "{1} ({2} jobs)"),
    "{1} jobs wanted {2} place(s); most at once: {3}",
    *("{1}: measured {2}", "{1}: measured {2} in stage {3}"),
    *("by vendors {1}", "by records {1}", "by Temporal {1}"),
    "{1}, else {2}",
    *("image generation", "video generation", "{1}, given up", "{1}, repeated"),
}
# What stays as it is: names (this run's, too), conditions, tests, digests, the kinds of pieces.
NAMES = re.compile(
    r"run|PASS|Temporal|Python|JSON|None|abc|CSV|\w+(==|<=|>=)\w+|tests/.*|[0-9a-f]{64}|\w+_\w+|job-\w+"
    r"|image \d+, video \d+|make [\w -]+=\w+"
    r"|\S+\.(md|json|csv|xml|svg|jsonl)"
    r"|[\w' ]+ #\d+|\w+\.jsonl?: \S+"
    r"|p9\d|n|raw/|histories/|SHA256SUMS|[\d.]+ (m?s|min|h|kB|MB)"
)
SPAN = re.compile(r'<span lang="en">.*?</span><span lang="zh">(.*?)</span>', re.S)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    plan = planned("1,20", seed="7")
    run = Synthetic(tmp_path_factory.mktemp("reports"), plan=plan).write()
    return run.drawn()


def test_every_text_of_the_report_is_in_a_table() -> None:
    texts = {text.removeprefix("#") for path in (*SECTIONS, *LABELS) for text in said(path)}
    prose = {text for text in texts if PROSE.fullmatch(text)} | HELD

    assert sorted(prose - KNOWN - NOT_SAID) == []
    assert sorted(NOT_SAID - prose) == []


def test_every_text_of_the_table_is_used() -> None:
    texts = {text.removeprefix("#") for p in Path("loadtest").rglob("*.py") for text in said(p)}
    small = {text[0].lower() + text[1:] for text in texts if text} | texts

    unused = [text for text in TABLE if text[0].lower() + text[1:] not in small]
    assert sorted(set(unused) - MADE) == []


def test_whole_report_is_translated(page: str) -> None:
    body = re.sub(r"<svg.*?</svg>|<pre>.*?</pre>", "", page.split("<main>")[1], flags=re.S)
    chinese = SPAN.sub(r"\1", body)
    texts = {unescape(text).strip() for text in re.findall(r">([^<]+)<", chinese)}
    left = {text for text in texts if re.search("[a-z]{3}", text) and not NAMES.fullmatch(text)}

    assert [text for text in left if not re.search("[\u4e00-\u9fff]", text)] == []
    assert [text for text in left if re.search("[a-z]{2} [a-z]{2}", text)] == []


def test_reader_switches_the_language_without_a_script(page: str) -> None:
    assert "<script" not in page
    assert page.count('lang="en">PASS') == page.count('lang="zh">PASS') == 1
    for language in ("en", "zh"):
        assert f'<input type="radio" name="language" id="{language}">' in page
        assert f'<label for="{language}">' in page
    assert ":has(#en:not(:checked)):has([id^=zh]:target)" in page
    # Who has opened it in Chinese goes on in Chinese.
    assert '<a href="#zh-s1">1 ' in page.partition("</nav>")[0]
    assert '<h2 id="zh-s1">' in page


def test_language_follows_the_shell_that_made_the_report(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    run = Synthetic(tmp_path, plan=planned("1", seed="7")).write()

    assert 'id="zh" checked>' in run.drawn()
    assert "## 1. Verdict" in run.drawn("report.md")


def test_outside_text_is_escaped_in_both_languages() -> None:
    hostile = "This report is partial: <b>."

    assert "<b>" not in both(hostile)
    assert both("<b>plain") == "&lt;b&gt;plain"
    assert both(hostile).count("&lt;b&gt;") == 2


def test_finding_is_translated_around_its_job() -> None:
    said = "no history in Temporal"

    assert translated(f"lost: job-1: {said}") == f"{TABLE['lost']}：job-1：{translated(said)}"
    assert translated(said) != said


def test_list_in_a_text_is_translated_piece_by_piece() -> None:
    page = both("Not tried by this run: several workers, kills and restarts.")

    assert page.count("several workers") == 1
    assert TABLE["kills and restarts"] in page


def test_text_of_users_and_machines_is_not_translated() -> None:
    table = Table(("prompt",), [row("run"), row(own("run"))])
    page = html("Load test {1}", [Section("Jobs", "", [table])], passed=True, names=("run",))

    assert page.count(">运行<") == 1
    assert ">run</td>" in page
    assert '<span lang="zh">负载测试 run</span>' in page


def test_prompts_and_names_are_not_translated(tmp_path: Path) -> None:
    run = Synthetic(tmp_path, plan=planned("1", seed="7")).write()
    run.edit(raw.SUBMITS, lambda rows: rows[0].update(prompt="run"))
    judgement = judge(run.folder)
    judgement.run["run_id"] = judgement.run["plan"]["seed"] = "failed"
    cells = [
        cell
        for section in sections(judgement)
        for block in section.blocks
        if isinstance(block, Table)
        for line in block.rows
        for cell in line
    ]

    assert sum(cell.own and cell.text == "run" for cell in cells) == 2
    assert sum(cell.own and cell.text == "failed" for cell in cells) == 2


def test_heads_of_a_failed_report_are_translated(tmp_path: Path) -> None:
    found = sections(judge(unpack("pack-used-up", tmp_path)))
    tables = [block for each in found for block in each.blocks if isinstance(block, Table)]
    heads = {head.removeprefix("#") for table in tables for head in table.heads}

    assert {head for head in heads if translated(head) == head and head.isalpha()} == {"n"}


def test_errors_of_vendors_and_services_are_not_translated(tmp_path: Path) -> None:
    translated = jobs.worst(judge(unpack("stuck-at-99", tmp_path)))
    tables = {block.caption: block for block in translated.blocks if isinstance(block, Table)}
    bad = next(block for caption, block in tables.items() if caption.startswith("Not succeeded"))
    for cells in bad.rows:
        assert cells[4].own or cells[4].text == "–"
        assert cells[5].own
