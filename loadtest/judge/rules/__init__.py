"""The rules, a module for each family: what can't be so in a run that nobody has bent."""

from collections.abc import Iterator

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
from loadtest.judge.self_checks import SelfCheck

KINDS = (
    *(conditions.KIND, clocks.KIND, ledgers.KIND, slots.KIND, causality.KIND),
    *(files.KIND, life.KIND, callbacks.KIND, histories.KIND, attempts.KIND),
)
FAMILIES = (
    *(conditions, clocks, ledgers, slots, causality),
    *(files, life, callbacks, histories, attempts),
)


def broken(books: Books) -> list[Finding]:
    """Everything that any rule forbids."""
    return [finding for family in FAMILIES for finding in family.broken(books)]


def checks(found: list[Finding]) -> Iterator[SelfCheck]:
    """One for each family; what it found is named elsewhere."""
    for kind in KINDS:
        own = [finding for finding in found if finding.kind == kind]
        text = f"{len(own)} findings, of {len({f.job_id for f in own})} job(s)" if own else "kept"
        yield SelfCheck(f"the rules of {kind}", not own, text)
