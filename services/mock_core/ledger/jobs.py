"""Who a request is for: a key that is the same in every run, and the attempt it is about."""

import itertools
import re
from collections import OrderedDict
from dataclasses import dataclass, field

from services.mock_core.lib.seeded_random import fingerprint

_serials = itertools.count(1)


def next_serial() -> int:
    """One count for jobs and rules, so that it can be told which of two is older."""
    return next(_serials)


@dataclass(slots=True, eq=False)
class Job:
    """A piece of work as the caller sees it: all its attempts and submits together.

    `key` is made of the prompt and, among equal prompts, the order of arrival: ids differ from
    run to run, prompts do not.
    """

    key: str
    number: int
    accepted: int = 0
    serial: int = field(default_factory=next_serial)
    # Events by point of life. The other two are made when a rule needs them: events that a rule
    # has met where it doesn't meet them all, and whether a rule that spans the life has struck.
    events: dict[str, int] | None = None
    met: dict[tuple[int, str], int] | None = None
    struck: dict[int, bool] | None = None

    def count(self, where: str) -> int:
        """The number, from 1, of the event that happens now at this point of the life."""
        self.events = self.events or {}
        number = self.events[where] = self.events.get(where, 0) + 1
        return number

    def count_met(self, serial: int, effect: str) -> int:
        """The same, among the events that this effect of a rule has met."""
        self.met = self.met or {}
        number = self.met[serial, effect] = self.met.get((serial, effect), 0) + 1
        return number


class JobIndex:
    """Finds the job behind an external id; bounded, the oldest are forgotten."""

    def __init__(self, pattern: str, keep: int = 20_000) -> None:
        self._keep = keep
        self._pattern = re.compile(pattern)
        self._by_stem: OrderedDict[str, Job] = OrderedDict()
        self._same_prompt: OrderedDict[str, int] = OrderedDict()
        self._count = 0

    def find(self, external_id: str | None, prompt: str) -> tuple[Job, int]:
        """The job and the attempt: the number in the external id, else one more than accepted."""
        match = self._pattern.fullmatch(external_id) if external_id else None
        stem = match["job"] if match else external_id
        job = self._by_stem.get(stem) if stem else None
        if job is None:
            job = self._new(prompt)
            if stem:
                self._by_stem[stem] = job
                self._trim(self._by_stem)
        return job, int(match["attempt"]) if match else job.accepted + 1

    def clear(self) -> None:
        self._by_stem.clear()
        self._same_prompt.clear()
        self._count = 0

    def _new(self, prompt: str) -> Job:
        print_ = fingerprint(prompt)
        ordinal = self._same_prompt.get(print_, 0) + 1
        self._same_prompt[print_] = ordinal
        self._trim(self._same_prompt)
        self._count += 1
        return Job(key=f"{print_}#{ordinal}", number=self._count)

    def _trim(self, table: OrderedDict[str, Job] | OrderedDict[str, int]) -> None:
        if len(table) > self._keep:
            table.popitem(last=False)
