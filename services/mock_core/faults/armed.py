"""An armed rule: decides by the seed, its name, the job and the attempt, and counts its hits.

So order and parallelism change nothing.
"""

import time
from collections.abc import Sequence
from typing import Any

from services.mock_core.clock import Clock, SeededRandom
from services.mock_core.faults.fault import Fault, Where
from services.mock_core.faults.rules import NumberTest, Rule, number_test, text_matcher
from services.mock_core.ledger.generation import Generation, Job, next_serial


def _test_of(spec: int | str | None) -> NumberTest:
    return number_test(spec) if spec is not None else lambda _: True


class ArmedRule:
    def __init__(
        self, rule: Rule, faults: Sequence[Fault], *, name: str, seed: int, clock: Clock
    ) -> None:
        self.rule = rule
        self.name = name
        self.faults = tuple(faults)
        self._share, self._hit, self._time = (
            SeededRandom(seed, name, purpose) for purpose in ("share", "hit", "time")
        )
        self._clock = clock
        self._texts = [
            (member, text_matcher(pattern))
            for member in ("prompt", "style", "tag", "id", "external_id")
            if (pattern := getattr(rule.match, member)) is not None
        ]
        self._nth = _test_of(rule.match.nth)
        self._attempts = _test_of(rule.often.attempts)
        first = rule.often.first
        self._events = _test_of(f"1-{first}" if first else rule.often.events)
        self._spans = len(self.faults) > 1
        # The job's own count is enough for a rule that meets each of the job's events.
        self._meets_all = rule.often.attempts is None and rule.match.status is None
        self.rearm()

    def rearm(self) -> None:
        """Restart the counts, as when it was armed."""
        self.serial = next_serial()
        self.fired = 0
        self._hits = 0
        self._armed_at = self._clock.now()

    @property
    def spent(self) -> bool:
        until = self.rule.until
        return (
            (until.count is not None and self._hits >= until.count)
            or (until.seconds is not None and self._age >= until.seconds)
            or (until.at is not None and time.time() >= until.at.timestamp())
        )

    @property
    def _age(self) -> float:
        return self._clock.now() - self._armed_at

    @property
    def _rests(self) -> bool:
        begins = self.rule.after.seconds
        return (begins is not None and self._age < begins) or self.spent

    def fits_service(self, service: str, points: frozenset[Where]) -> bool:
        """True if this service has a point for it, because one plan may be given to both mocks."""
        if self.rule.service not in (None, service):
            return False
        return any(
            fault.where in points and fault.service in (None, service) for fault in self.faults
        )

    def concerns(self, generation: Generation) -> bool:
        """True if the rule matches the job; this never changes for a generation."""
        match = self.rule.match
        if match.key is not None and generation.job.key != match.key:
            return False
        if not (self._nth(generation.job.number) and self._attempts(generation.attempt)):
            return False
        if not all(fits(getattr(generation, member) or "") for member, fits in self._texts):
            return False
        return match.share is None or self._share.number(generation.job.key) < match.share

    def strikes(self, fault: Fault, generation: Generation, *, status: str | None) -> int:
        """Return the number of the event that is hit, as this rule counts the job's; 0 for none."""
        wanted = self.rule.match.status
        if wanted is not None and fault.where is Where.CALLBACK and status != wanted:
            return 0
        event = self._number(fault, generation.job)
        if not self._events(event):
            return 0
        if self._spans:
            return event if self._strikes_job(generation) else 0
        if self._rests or not self._happens(fault, generation, event):
            return 0
        self._hits += 1
        return event

    def _number(self, fault: Fault, job: Job) -> int:
        """Count the job's events at this point that have met the rule, including this one."""
        if self._meets_all and job.serial > self.serial:
            return (job.events or {})[fault.where]
        return job.count_met(self.serial, fault.kind)

    def _strikes_job(self, generation: Generation) -> bool:
        """Decide once for the whole life, so that all faults of the rule meet the same jobs."""
        job = generation.job
        known = (job.struck or {}).get(self.serial)
        if known is None:
            known = not self._rests and self._hit.number(job.key) < self.rule.often.probability
            job.struck = {**(job.struck or {}), self.serial: known}
            self._hits += known
        return known

    def _happens(self, fault: Fault, generation: Generation, event: int) -> bool:
        probability = self.rule.often.probability
        if probability >= 1:
            return True
        per = self.rule.often.per or (
            "attempt" if fault.where in (Where.START, Where.PROGRESS) else "event"
        )
        key = generation.job.key
        if per == "job":
            return self._hit.number(key) < probability
        if per == "attempt":
            return self._hit.number(key, generation.attempt) < probability
        return self._hit.number(key, generation.attempt, fault.where, event) < probability

    def quantile(self, generation: Generation, *parts: str | int) -> float:
        """Return the quantile of a length of time of this rule, for a job's attempt."""
        return self._time.number(generation.job.key, generation.attempt, *parts)

    def row(self, *, applies: bool) -> dict[str, Any]:
        shown = self.rule.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        return {
            **shown,
            "name": self.name,
            "fired": self.fired,
            "spent": self.spent,
            "applies": applies,
        }
