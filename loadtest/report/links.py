"""Addresses of what a reader may want to see itself: in the Temporal UI, and beside the report."""

import re
from typing import Any
from urllib.parse import quote

from loadtest.books.model import JobFacts
from loadtest.books.seal import NAME, NONE

_ADDRESS = re.compile(r"https?://[^\s<>\"']+")


def workflow_link(run: dict[str, Any], job_id: str) -> str:
    """The page of a job's workflow."""
    return _link(run, f"/{quote(job_id)}")


def stage_link(run: dict[str, Any], tag: str) -> str:
    """The list of a stage's workflows, filtered by its tag."""
    return _link(run, "?query=" + quote(f"CustomTag = '{tag}'"))


def _link(run: dict[str, Any], rest: str) -> str:
    """Nothing where what the run noted is no address."""
    ui, namespace = str(run.get("temporal_ui")), quote(str(run.get("namespace")), safe="")
    return f"{ui}/namespaces/{namespace}/workflows{rest}" if _ADDRESS.fullmatch(ui) else ""


def history_link(job: JobFacts) -> str:
    """A job's history in the run's own folder; empty where it was not kept."""
    return f"histories/{quote(job.job_id, safe='')}.json" if "" in job.told else ""


def files(root: str) -> tuple[tuple[str, str], ...]:
    """The files of a run, relative to its report."""
    found = (
        ("report.md", "this report as text"),
        ("results.json", "everything measured, for programs"),
        ("jobs.csv", "a line per job, for a spreadsheet"),
        ("spans.jsonl", "a line per piece of a job"),
        ("junit.xml", "a case per condition and check"),
        ("histories/", "each kept history, as Temporal's UI imports it"),
        ("raw/", "what was seen, unjudged"),
    )
    return (*found, (NAME, "the seal")) if root != NONE else found
