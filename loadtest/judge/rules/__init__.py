"""The rules, a module for each family: what can't be so in a run that nobody has bent."""

from loadtest.books.model import Books
from loadtest.judge.findings import Finding
from loadtest.judge.rules import (
    attempts,
    callbacks,
    causality,
    clocks,
    conditions,
    files,
    histories,
    ledgers,
    life,
    slots,
)

FAMILIES = (
    *(conditions, clocks, ledgers, slots, causality),
    *(files, life, callbacks, histories, attempts),
)


def broken(books: Books) -> list[Finding]:
    """Everything that any rule forbids."""
    return [finding for family in FAMILIES for finding in family.broken(books)]
