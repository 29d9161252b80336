"""What the mocks say of themselves, held against what their ledgers add up to here."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from loadtest.books.model import STEPS, Books
from loadtest.judge.check import Check


def mocks_agree(books: Books) -> Iterator[Check]:
    """Their verdict on double charges is ours, and their books are whole."""
    verdicts = {step: _part(books, step, "verdict") for step in STEPS}
    name = "the mocks' own verdict on charges agrees"
    if not all("charged_twice" in verdict for verdict in verdicts.values()):
        yield Check(name, None, "a mock gave no verdict")
    else:
        theirs = {str(i) for v in verdicts.values() for i in v["charged_twice"]}
        ours, known = _charged_twice(books), {job.job_id for job in books.jobs}
        theirs = {i for i in theirs if i.rsplit(".", 2)[0] in known}
        yield Check(name, theirs == ours, f"theirs {sorted(theirs)}, ours {sorted(ours)}")
    dropped = sum(int(_part(books, step, "stats").get("ledger_dropped") or 0) for step in STEPS)
    text = f"{dropped} rows were dropped" + (", of earlier runs perhaps" if dropped else "")
    yield Check("the mocks' ledgers are whole", True if not dropped else None, text)
    yield _faults_whole(books)


def _faults_whole(books: Books) -> Check:
    """A trace that has forgotten rows leaves faults without an outcome."""
    counts = [
        (int(found.get("faults_recorded") or 0), int(found.get("faults_remembered") or 0))
        for found in books.vendors.values()
        if isinstance(found, dict)
    ]
    lost = sum(recorded - remembered for recorded, remembered in counts)
    text = f"{sum(recorded for recorded, _ in counts)} injected, {lost} of them forgotten"
    return Check("every injected fault is remembered", True if lost <= 0 else None, text)


def _charged_twice(books: Books) -> set[str]:
    charges = Counter(g.external_id for job in books.jobs for g in job.generations if g.charged)
    return {str(external_id) for external_id, count in charges.items() if count > 1}


def _part(books: Books, step: str, name: str) -> dict[str, Any]:
    found = (books.vendors.get(step) or {}).get(name)
    return found if isinstance(found, dict) else {}
