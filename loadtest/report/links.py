"""Addresses in the Temporal UI, for a reader who wants to see the history itself."""

from typing import Any
from urllib.parse import quote


def workflow_link(run: dict[str, Any], job_id: str) -> str:
    """The page of a job's workflow."""
    return f"{run.get('temporal_ui')}/namespaces/{run.get('namespace')}/workflows/{quote(job_id)}"


def stage_link(run: dict[str, Any], tag: str) -> str:
    """The list of a stage's workflows, filtered by its tag."""
    query = quote(f"CustomTag = '{tag}'")
    return f"{run.get('temporal_ui')}/namespaces/{run.get('namespace')}/workflows?query={query}"
