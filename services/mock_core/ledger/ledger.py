"""All accepted generations, found by either id, and what a bill would show of them."""

from collections import Counter, deque
from collections.abc import Iterable, Iterator
from typing import Any

from services.mock_core.ledger.generation import Generation


class Ledger:
    """The ledger's rows in order of acceptance, and the counts that outlive them."""

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self.clear()

    def clear(self) -> None:
        self._rows: deque[Generation] = deque()
        self._by_id: dict[str, Generation] = {}
        self._by_external: dict[str, Generation] = {}
        self.accepted = 0
        self.charged = 0
        self.duplicates = 0
        self.in_flight = 0
        self.max_in_flight = 0
        self.dropped = 0

    def __iter__(self) -> Iterator[Generation]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, generation: Generation) -> None:
        generation.duplicate = (
            generation.external_id is not None and generation.external_id in self._by_external
        )
        self.duplicates += generation.duplicate
        self._rows.append(generation)
        self._by_id[generation.id] = generation
        if generation.external_id is not None:
            self._by_external[generation.external_id] = generation
        self.accepted += 1
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)
        self._forget_oldest()

    def closed(self, generation: Generation) -> None:
        """Count an end; called once per accepted generation."""
        self.in_flight -= 1
        self.charged += generation.charged

    def find(self, any_id: str) -> Generation | None:
        """Find by the vendor's id or the caller's; the latest of several; None if forgotten."""
        found = self._by_id.get(any_id) or self._by_external.get(any_id)
        return None if found is None or found.vanished else found

    def newest(self) -> Iterator[Generation]:
        """Return what the vendor still knows, latest first."""
        return (row for row in reversed(self._rows) if not row.vanished)

    def other(self, generation: Generation) -> Generation | None:
        """Return the last accepted generation of another job."""
        for row in reversed(self._rows):
            if row.job is not generation.job:
                return row
        return None

    def by_external(self, external_id: str) -> Generation | None:
        found = self._by_external.get(external_id)
        return None if found is None or found.vanished else found

    def _forget_oldest(self) -> None:
        while len(self._rows) > self._keep and not self._rows[0].open:
            old = self._rows.popleft()
            self.dropped += 1
            if self._by_id.get(old.id) is old:
                del self._by_id[old.id]
            if old.external_id and self._by_external.get(old.external_id) is old:
                del self._by_external[old.external_id]


def judge(rows: Iterable[Generation], *, fetched_late: Iterable[str]) -> dict[str, Any]:
    """Return the verdict; `ok` is false if something was charged twice, unanswered or fetched after
    expiry."""
    rows = list(rows)
    charges = Counter(row.external_id or row.id for row in rows if row.charged)
    twice = sorted(name for name, count in charges.items() if count > 1)
    unanswered = [
        {"job_id": row.id, "external_id": row.external_id, "status": status}
        for row in rows
        for status in _unanswered(row)
    ]
    late = sorted(fetched_late)
    return {
        "ok": not (twice or unanswered or late),
        "charged_twice": twice,
        "callbacks_unanswered": unanswered,
        "fetched_after_expiry": late,
        "charged": sum(charges.values()),
        "open": sum(row.open for row in rows),
    }


def _unanswered(row: Generation) -> list[str]:
    """Return the states whose callback was sent and never answered with 2xx, except those lost on
    purpose."""
    sent: dict[str, bool] = {}
    status_of: dict[str, str] = {}
    for attempt in row.delivery_attempts:
        if attempt.sent_at is None:
            continue
        answered = sent.get(attempt.delivery_id, False) or attempt.answered
        sent[attempt.delivery_id] = answered
        status_of[attempt.delivery_id] = attempt.status
    return [status_of[delivery_id] for delivery_id, answered in sent.items() if not answered]
