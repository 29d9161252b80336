"""What a bill would show: judged from the ledger's rows and the fetches of files, for use in CI."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from services.mock_core.ledger.generation import Generation


def judge(rows: Iterable[Generation], *, fetched_late: Iterable[str]) -> dict[str, Any]:
    """`ok` is false when something was charged twice, left unanswered or fetched after expiry."""
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
    """States whose callback was sent and never answered with 2xx; lost on purpose is not sent."""
    sent: dict[str, bool] = {}
    status_of: dict[str, str] = {}
    for attempt in row.delivery_attempts:
        if attempt.sent_at is None:
            continue
        answered = sent.get(attempt.delivery_id, False) or attempt.answered
        sent[attempt.delivery_id] = answered
        status_of[attempt.delivery_id] = attempt.status
    return [status_of[delivery_id] for delivery_id, answered in sent.items() if not answered]
