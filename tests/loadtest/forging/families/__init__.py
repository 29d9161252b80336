"""The lies, a module for each family; importing this package fills the table."""

from tests.loadtest.forging.families import (
    attempts,
    callbacks,
    causality,
    clocks,
    conditions,
    files,
    histories,
    ledgers,
    life,
    missing,
    slots,
)

__all__ = [
    "attempts",
    "callbacks",
    "causality",
    "clocks",
    "conditions",
    "files",
    "histories",
    "ledgers",
    "life",
    "missing",
    "slots",
]
