"""A try that was replaced is never answered yes: by the answers of each run of a semaphore."""

from collections.abc import Callable

from shared.slot.messages import ACQUIRE_UPDATE, NO_FENCE, Acquire, Answer, Fence
from tests.simulation.runs import Run, Update
from tests.simulation.verdicts import Rule
from tests.simulation.wire import Table

Pair = tuple[str, str]


class Fences:
    """Knows the highest fence by which each job has asked and was not sent away.

    Two tries that are heard in one task were both on their way, and the yes to the older one is
    what it would be had the newer one come a moment later; unless the newer one has its yes.
    """

    def __init__(self, table: Table, broken: Callable[[Rule, str], None]) -> None:
        self._table = table
        self._broken = broken
        # With the number of the semaphore's task in which it was heard.
        self._heard: dict[Pair, tuple[Fence, int]] = {}
        self._granted: dict[Pair, Fence] = {}

    def answered(self, semaphore: Run, update: Update) -> None:
        """An ask was taken in, or has its answer."""
        if update.name != ACQUIRE_UPDATE:
            return
        ask: Acquire = self._table.from_payloads(update.args.payloads, [Acquire])[0]
        pair, task = (semaphore.run_id, ask.request.run_id), len(semaphore.records)
        heard, when = self._heard.get(pair, (NO_FENCE, task))
        if update.outcome is None:
            self._heard[pair] = max((heard, when), (ask.fence, task))
            return
        result, _ = update.outcome
        if result is None:
            return
        answer: Answer = self._table.from_payloads([result], [Answer])[0]
        if answer.permit is not None:
            before = self._granted.get(pair, NO_FENCE)
            if when < task:
                before = max(before, heard)
            if ask.fence < before:
                self._broken(Rule.FENCED, f"{pair[1]}: {ask.fence} was answered behind {before}")
            self._granted[pair] = max(before, ask.fence)
        elif heard == ask.fence:
            del self._heard[pair]
