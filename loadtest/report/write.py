"""The files of a report; the same judgement gives the same files."""

import csv
import io
import json
from collections import Counter
from xml.etree import ElementTree

from pydantic_core import to_jsonable_python

from loadtest.books.raw import RunFolder
from loadtest.judge.judge import Judgement
from loadtest.judge.tried import claims, tried
from loadtest.report.page import Section, drawing, html, markdown
from loadtest.report.sections import books, jobs, pace, verdict
from loadtest.times import timestamp
from shared.files import write_atomic

RESULTS_SCHEMA = 2
FOLDED = 2
"""Sections that answer whether the run can be trusted; the others are opened by a click."""
_COLUMNS = (
    "stage", "index", "job_id", "status", "prompt", "planned_at", "created_at", "started_at",
    "finished_at",
    "latency_s", "service_s", "image_attempts", "video_attempts", "events", "error_code",
)  # fmt: skip


def write_report(folder: RunFolder, judgement: Judgement) -> None:
    """Write every file that is derived from the raw records; results first."""
    title, run = "Load test {1}", str(judgement.run.get("run_id"))
    found, drawn = sections(judgement), jobs.lanes(judgement)
    for name, text in (
        *([("lanes.svg", drawing(judgement.headline, drawn))] if drawn else []),
        ("results.json", results(judgement)),
        ("junit.xml", junit(judgement)),
        ("jobs.csv", jobs_csv(judgement)),
        ("report.md", markdown(title.format(None, run), found)),
        ("report.html", html(title, found, passed=judgement.passed, names=(run,), folded=FOLDED)),
    ):
        # Replaces whatever has that name, and follows no link.
        write_atomic(folder.path / name, text.encode())


def sections(judgement: Judgement) -> list[Section]:
    makers = (
        verdict.verdict,
        verdict.not_tried,
        verdict.conditions,
        pace.ladder,
        books.conservation,
        jobs.proof,
        pace.hand_over,
        books.retries,
        books.callbacks,
        books.history,
        jobs.worst,
    )
    return [make(judgement) for make in makers]


def results(judgement: Judgement) -> str:
    """Everything measured, as JSON with a schema version."""
    body = {
        "schema": RESULTS_SCHEMA,
        "passed": judgement.passed,
        "headline": judgement.headline,
        "reasons": judgement.reasons,
        "run": judgement.run,
        "seal": judgement.books.seal.root,
        "conditions": judgement.conditions,
        "verdict": judgement.verdict,
        "undecided": judgement.undecided,
        "claims": claims(judgement),
        "tried": tried(judgement),
        "stages": judgement.stages,
        "findings": judgement.findings,
        "vendors": judgement.books.vendors,
    }
    text = json.dumps(to_jsonable_python(body), ensure_ascii=False, indent=1, allow_nan=False)
    return f"{text}\n"


def jobs_csv(judgement: Judgement) -> str:
    """Return a line per job; instants in UTC, durations in seconds."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for job in judgement.books.jobs:
        submit, api, run = job.submission, job.api[0] if job.api else None, job.execution
        kept = {g.step: g.seconds for g in job.generations if g.good}
        writer.writerow(
            [
                job.stage + 1,
                submit.index if submit else "",
                job.job_id,
                job.status or "unknown",
                submit.prompt if submit else "",
                timestamp(submit.planned) if submit else "",
                timestamp(api.created) if api else "",
                timestamp(api.started) if api and api.started else "",
                timestamp(api.finished) if api and api.finished else "",
                "" if job.latency is None else f"{job.latency:.6f}",
                f"{sum(kept.values()):.6f}" if kept else "",
                len(job.of("image")),
                len(job.of("video")),
                run.events if run else "",
                (api.error_code or "") if api else "",
            ]
        )
    return out.getvalue()


def junit(judgement: Judgement) -> str:
    """Return each condition and check as a test case, for a CI that shows them."""
    suite = ElementTree.Element("testsuite", name="loadtest")
    cases = [
        (c.text, c.ok, f"measured {c.measured}, limit {c.limit}", c.asked)
        for c in judgement.conditions
    ]
    rules = Counter(f.rule for f in judgement.convicted)
    cases += [(rule, False, f"{count} finding(s)", True) for rule, count in sorted(rules.items())]
    cases += [("the run decides", False, text, True) for text in judgement.undecided]
    tally: Counter[str] = Counter(tests=len(cases), failures=0, skipped=0)
    for name, ok, text, must in cases:
        case = ElementTree.SubElement(suite, "testcase", classname="loadtest", name=name)
        if ok is False or (ok is None and must):
            ElementTree.SubElement(case, "failure", message=text)
            tally["failures"] += 1
        elif ok is None:
            ElementTree.SubElement(case, "skipped", message=text)
            tally["skipped"] += 1
    for key, count in tally.items():
        suite.set(key, str(count))
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"
