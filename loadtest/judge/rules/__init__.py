"""The rules, a function for each family: what can't be so in a run that nobody has bent."""

from collections.abc import Callable, Iterator

from loadtest.books.model import Books
from loadtest.judge.findings import Finding
from loadtest.judge.rules.callbacks import CALLBACK, callback
from loadtest.judge.rules.causality import CAUSALITY, causality
from loadtest.judge.rules.histories import HISTORY, history
from loadtest.judge.rules.jobs import FILE, LIFE, file, life
from loadtest.judge.rules.plan import CLOCK, PLAN, SLOT, clock, plan, slot
from loadtest.judge.rules.vendors import ATTEMPTS, LEDGER, attempts, ledger
from loadtest.judge.self_checks import SelfCheck

FAMILIES: dict[str, Callable[[Books], Iterator[Finding]]] = {
    PLAN: plan,
    CLOCK: clock,
    LEDGER: ledger,
    SLOT: slot,
    CAUSALITY: causality,
    FILE: file,
    LIFE: life,
    CALLBACK: callback,
    HISTORY: history,
    ATTEMPTS: attempts,
}
KINDS = tuple(FAMILIES)


def broken(books: Books) -> list[Finding]:
    """Everything that any rule forbids."""
    return [finding for family in FAMILIES.values() for finding in family(books)]


def checks(found: list[Finding]) -> Iterator[SelfCheck]:
    """One for each family; what it found is named elsewhere."""
    for kind in KINDS:
        own = [finding for finding in found if finding.kind == kind]
        text = f"{len(own)} findings, of {len({f.job_id for f in own})} job(s)" if own else "kept"
        yield SelfCheck(f"the rules of {kind}", not own, text)
