"""The injected faults: a bounded list; exported as a plan, it repeats exactly."""

import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from services.mock_core.clock import DelaySpec, rfc3339
from services.mock_core.faults.armed import ArmedRule
from services.mock_core.faults.fault import Fault
from services.mock_core.faults.kinds import SubmitPool, SubmitQuota
from services.mock_core.ledger.generation import Generation


@dataclass(frozen=True, slots=True)
class Injected:
    """One injected fault; `event` as its rule counts the job's events at that point."""

    seq: int
    at: float
    rule: ArmedRule
    fault: Fault
    job_key: str
    attempt: int
    event: int
    quantile: float
    status: str | None
    job_id: str
    external_id: str | None
    prompt: str

    def row(self) -> dict[str, Any]:
        return {
            "seq": self.seq,
            "at": rfc3339(self.at),
            "rule": self.rule.name,
            "where": self.fault.where,
            "do": self.fault.do,
            "with": self.exact_members(),
            "status": self.status,
            "job_key": self.job_key,
            "attempt": self.attempt,
            "event": self.event,
            "job_id": self.job_id,
            "external_id": self.external_id,
            "prompt": self.prompt,
        }

    def exact_members(self) -> dict[str, Any]:
        """Return the members with each drawn length of time in place of its distribution."""
        members = self.fault.model_dump(mode="json", exclude_defaults=True)
        for name in type(self.fault).model_fields:
            value = getattr(self.fault, name)
            if isinstance(value, DelaySpec) and value.shape != "fixed":
                members[name] = str(DelaySpec("fixed", value.at(self.quantile)))
        return members


class Trace:
    def __init__(self, keep: int) -> None:
        self._rows: deque[Injected] = deque(maxlen=keep)
        self.recorded = 0

    def record(
        self,
        rule: ArmedRule,
        fault: Fault,
        generation: Generation,
        *,
        event: int,
        quantile: float,
        status: str | None,
    ) -> None:
        self.recorded += 1
        self._rows.append(
            Injected(
                seq=self.recorded,
                at=time.time(),
                rule=rule,
                fault=fault,
                job_key=generation.job.key,
                attempt=generation.attempt,
                event=event,
                quantile=quantile,
                status=status,
                job_id=generation.id,
                external_id=generation.external_id,
                prompt=generation.prompt[:80],
            )
        )

    def rows(self, after: int = 0, limit: int | None = None) -> list[dict[str, Any]]:
        """Return those numbered above `after`, oldest first; the last `limit` of them."""
        later = [row for row in self._rows if row.seq > after]
        return [row.row() for row in (later if limit is None else later[-limit:])]

    def as_plan(self, service: str, seed: int) -> dict[str, Any]:
        """Return a plan without probabilities that injects the same faults into the same jobs."""
        grouped: dict[str, tuple[Injected, list[int]]] = {}
        for row in self._rows:
            parts = (row.rule.serial, row.fault.kind, row.job_key)
            key = repr((*parts, row.exact_members()))
            grouped.setdefault(key, (row, []))[1].append(row.event)
        return {
            "seed": seed,
            "rules": [
                _exact_rule(row, events, name=f"replay-{number}", service=service)
                for number, (row, events) in enumerate(grouped.values(), 1)
            ],
        }

    def clear(self) -> None:
        self._rows.clear()
        self.recorded = 0


def _exact_rule(row: Injected, events: list[int], *, name: str, service: str) -> dict[str, Any]:
    rule = row.rule.rule
    match: dict[str, Any] = {"key": row.job_key}
    if rule.match.status is not None:
        match["status"] = rule.match.status
    often: dict[str, Any] = {"events": _ranges(events)}
    if rule.often.attempts is not None:
        often["attempts"] = rule.often.attempts
    return {
        "name": name,
        "service": service,
        "note": f"by {row.rule.name}: {row.prompt}",
        "match": match,
        "where": str(row.fault.where),
        **_exact_effect(row),
        "often": often,
    }


def _exact_effect(row: Injected) -> dict[str, Any]:
    """Replace what depended on the moment by the refusal that it was."""
    match row.fault:
        case SubmitQuota(retry_after=seconds):
            refusal = {"status": 429, "code": 1302, "retry_after": seconds}
            return {"do": "refuse", "with": refusal}
        case SubmitPool():
            return {"do": "refuse", "with": {"status": 429, "code": 1303}}
    return {"do": row.fault.do, "with": row.exact_members()}


def _ranges(numbers: Iterable[int]) -> str:
    """Return `1-3,7`: sorted, without repeats."""
    spans: list[list[int]] = []
    for number in sorted(set(numbers)):
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in spans)
