"""Writing the report of a judgement; the same judgement gives the same files."""

import dataclasses
import re

from loadtest.books.raw import RunFolder
from loadtest.judge.compare import Comparison, compare
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
from loadtest.report.sections import compare as compare_section
from loadtest.report.side import side_by_side
from shared.files import write_atomic

LONGEST_NAME = 100


def write_report(
    folder: RunFolder, judgement: Judgement, baseline: Judgement | None = None
) -> None:
    """Write every file that is derived from the raw records; results first."""
    title, run = "Load test {1}", str(judgement.run.get("run_id"))
    comparison = compare(baseline, judgement) if baseline is not None else None
    found = sections(judgement, comparison)
    for name, text in (
        ("results.json", results(judgement)),
        ("junit.xml", junit(judgement)),
        ("jobs.csv", jobs_csv(judgement)),
        ("spans.jsonl", spans_jsonl(judgement)),
        ("report.md", markdown(title.format(None, run), found)),
        ("report.html", html(title, found, passed=judgement.passed, names=(run,))),
    ):
        _write(folder, name, text)


def sections(judgement: Judgement, comparison: Comparison | None) -> list[Section]:
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
        compare_section.section(comparison, str(judgement.run.get("run_id"))),
        worst.section(judgement),
    ]


def write_comparison(folder: RunFolder, comparison: Comparison) -> None:
    """Write a comparison beside the second run's report."""
    title, names = "{1} against {2}", (comparison.b, comparison.a)
    found = [compare_section.section(comparison, comparison.b)]
    passed = bool(comparison.why_not) or not comparison.worse
    for name, text in (
        (f"{comparison_name(comparison)}.md", markdown(title.format(None, *names), found)),
        (f"{comparison_name(comparison)}.html", html(title, found, passed=passed, names=names)),
    ):
        _write(folder, name, text)


def comparison_name(comparison: Comparison) -> str:
    """Of its files, without their ends; a run's noted name may be anything."""
    return "compare-" + re.sub(r"[^A-Za-z0-9._-]", "_", comparison.a)[:LONGEST_NAME]


def write_side_by_side(folder: RunFolder, ours: Judgement, control: Judgement) -> None:
    """Write two builds' page beside the report of the first."""
    numbers = dataclasses.replace(compare(ours, control), why_not=["these are two builds"])
    found = side_by_side(ours, control, numbers)
    title = "Ours and the negative control"
    passed = ours.passed and not control.passed
    for name, text in (
        ("peers.md", markdown(title, found)),
        ("peers.html", html(title, found, passed=passed)),
    ):
        _write(folder, name, text)


def _write(folder: RunFolder, name: str, text: str) -> None:
    """In place of whatever has that name; a link is not followed."""
    write_atomic(folder.path / name, text.encode())
