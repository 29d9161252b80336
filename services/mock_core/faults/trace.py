"""What was injected, where, by which rule: a bounded list, the oldest rows fall out."""

import time
from collections import deque
from typing import Any

from services.mock_core.faults.armed import ArmedEffect, ArmedRule
from services.mock_core.generation import Generation
from services.mock_core.times import rfc3339


class Trace:
    def __init__(self, keep: int) -> None:
        self._rows: deque[dict[str, Any]] = deque(maxlen=keep)
        self.recorded = 0

    def record(
        self, rule: ArmedRule, effect: ArmedEffect, generation: Generation, *, event: int
    ) -> None:
        self.recorded += 1
        self._rows.append(
            {
                "seq": self.recorded,
                "at": rfc3339(time.time()),
                "rule": rule.name,
                "where": effect.where,
                "do": effect.do,
                "with": effect.params.model_dump(mode="json", exclude_defaults=True),
                "job_key": generation.job.key,
                "attempt": generation.attempt,
                "event": event,
                "job_id": generation.id,
                "external_id": generation.external_id,
                "prompt": generation.prompt[:80],
            }
        )

    def rows(self) -> list[dict[str, Any]]:
        return list(self._rows)

    def clear(self) -> None:
        self._rows.clear()
        self.recorded = 0
