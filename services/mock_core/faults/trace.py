"""The injected faults: a bounded list; exported as a plan, it repeats exactly."""

import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from services.mock_core.clock import rfc3339
from services.mock_core.faults.kinds import Hit
from services.mock_core.ledger import Generation

if TYPE_CHECKING:
    from services.mock_core.faults.plan import ArmedRule


@dataclass(frozen=True, slots=True)
class Injected:
    """One injected fault; `event` as its rule counts the job's events at that point."""

    seq: int
    at: float
    rule: "ArmedRule"
    hit: Hit
    generation: Generation
    event: int
    status: str | None

    def row(self) -> dict[str, Any]:
        generation, kind = self.generation, self.hit.fault.kind
        return {
            "seq": self.seq,
            "at": rfc3339(self.at),
            "rule": self.rule.name,
            "where": kind.where,
            "do": kind.do,
            "with": self.exact_members(),
            "status": self.status,
            "job_key": generation.job.key,
            "attempt": generation.attempt,
            "event": self.event,
            "job_id": generation.id,
            "external_id": generation.external_id,
            "prompt": generation.prompt[:80],
        }

    def exact_members(self) -> dict[str, Any]:
        """Return the members that differ from the defaults, with each length of time as drawn."""
        fields = self.hit.fault.kind.members.model_fields
        given = self.hit.fault.members
        return {name: self.hit[name] for name, value in given if value != fields[name].default}


class Trace:
    def __init__(self, keep: int) -> None:
        self._rows: deque[Injected] = deque(maxlen=keep)
        self.recorded = 0

    def record(
        self, rule: "ArmedRule", hit: Hit, generation: Generation, *, event: int, status: str | None
    ) -> None:
        self.recorded += 1
        at = time.time()
        self._rows.append(Injected(self.recorded, at, rule, hit, generation, event, status))

    def rows(self, after: int = 0, limit: int | None = None) -> list[dict[str, Any]]:
        """Return those numbered above `after`, oldest first; the last `limit` of them."""
        later = [row for row in self._rows if row.seq > after]
        return [row.row() for row in (later if limit is None else later[-limit:])]

    def as_plan(self, service: str, seed: int) -> dict[str, Any]:
        """Return a plan without probabilities that injects the same faults into the same jobs."""
        grouped: dict[str, tuple[Injected, list[int]]] = {}
        for row in self._rows:
            parts = (row.rule.serial, row.hit.name, row.generation.job.key, row.exact_members())
            grouped.setdefault(repr(parts), (row, []))[1].append(row.event)
        return {
            "seed": seed,
            "rules": [
                {"name": f"replay-{number}", "service": service, **_exact_rule(row, events)}
                for number, (row, events) in enumerate(grouped.values(), 1)
            ],
        }

    def clear(self) -> None:
        self._rows.clear()
        self.recorded = 0


def _exact_rule(row: Injected, events: list[int]) -> dict[str, Any]:
    rule, hit = row.rule.rule, row.hit
    do, members = hit.fault.kind.do, row.exact_members()
    # What depended on the moment becomes the refusal that it was.
    if hit.name == "submit.quota":
        do, members = "refuse", {"status": 429, "code": 1302, "retry_after": hit["retry_after"]}
    elif hit.name == "submit.pool":
        do, members = "refuse", {"status": 429, "code": 1303}
    match, often = rule.match.status, rule.often.attempts
    return {
        "note": f"by {row.rule.name}: {row.generation.prompt[:80]}",
        "match": {"key": row.generation.job.key, **({} if match is None else {"status": match})},
        "where": str(hit.fault.kind.where),
        "do": do,
        "with": members,
        "often": {"events": _ranges(events), **({} if often is None else {"attempts": often})},
    }


def _ranges(numbers: list[int]) -> str:
    """Return `1-3,7`: sorted, without repeats."""
    spans: list[list[int]] = []
    for number in sorted(set(numbers)):
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in spans)
