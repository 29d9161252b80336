"""The lies, a module for each group of rules; importing this package fills the table."""

from tests.loadtest.forging.families import (
    callbacks,
    causality,
    failures,
    histories,
    jobs,
    origins,
    plan,
    processes,
    rules,
    vendors,
    witnesses,
)

__all__ = [
    "callbacks",
    "causality",
    "failures",
    "histories",
    "jobs",
    "origins",
    "plan",
    "processes",
    "rules",
    "vendors",
    "witnesses",
]
