"""Writing the report of a judgement; the same judgement gives the same files."""

from loadtest.books.raw import RunFolder
from loadtest.judge.judge import Judgement
from loadtest.report.blocks import Section
from loadtest.report.files import jobs_csv, junit, results, spans_jsonl
from loadtest.report.html import html
from loadtest.report.markdown import markdown
from loadtest.report.sections import (
    callbacks,
    conservation,
    cost,
    efficiency,
    handover,
    jobs,
    ladder,
    processes,
    proof,
    retries,
    tried,
    verdict,
    worst,
)
from shared.files import write_atomic


def write_report(folder: RunFolder, judgement: Judgement) -> None:
    """Write every file that is derived from the raw records; results first."""
    title, run = "Load test {1}", str(judgement.run.get("run_id"))
    found = sections(judgement)
    for name, text in (
        ("results.json", results(judgement)),
        ("junit.xml", junit(judgement)),
        ("jobs.csv", jobs_csv(judgement)),
        ("spans.jsonl", spans_jsonl(judgement)),
        ("report.md", markdown(title.format(None, run), found)),
        ("report.html", html(title, found, passed=judgement.passed, names=(run,))),
    ):
        _write(folder, name, text)


def sections(judgement: Judgement) -> list[Section]:
    """The sections in the report's order."""
    return [
        verdict.section(judgement),
        tried.section(judgement),
        ladder.section(judgement),
        conservation.section(judgement),
        jobs.section(judgement),
        proof.section(judgement),
        handover.section(judgement),
        efficiency.section(judgement),
        retries.section(judgement),
        callbacks.section(judgement),
        cost.section(judgement),
        processes.section(judgement),
        worst.section(judgement),
    ]


def _write(folder: RunFolder, name: str, text: str) -> None:
    """In place of whatever has that name; a link is not followed."""
    write_atomic(folder.path / name, text.encode())
