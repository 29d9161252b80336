"""A try that was replaced is never answered yes: by the answers of each run of a semaphore."""

from collections.abc import Callable

from shared.slots import ACQUIRE_UPDATE, NO_FENCE, Acquire, Answer, Fence
from tests.simulation.runs import Run, Update
from tests.simulation.verdicts import Rule
from tests.simulation.wire import Table


class Fences:
    """Knows the highest fence by which each job has asked and was not sent away."""

    def __init__(self, table: Table, broken: Callable[[Rule, str], None]) -> None:
        self._table = table
        self._broken = broken
        self._heard: dict[tuple[str, str], Fence] = {}

    def answered(self, semaphore: Run, update: Update) -> None:
        """An ask was taken in, or has its answer."""
        if update.name != ACQUIRE_UPDATE:
            return
        ask: Acquire = self._table.from_payloads(update.args.payloads, [Acquire])[0]
        pair = semaphore.run_id, ask.request.run_id
        heard = self._heard.get(pair, NO_FENCE)
        if update.outcome is None:
            self._heard[pair] = max(heard, ask.fence)
            return
        result, _ = update.outcome
        if result is None:
            return
        answer: Answer = self._table.from_payloads([result], [Answer])[0]
        if answer.permit is None and heard == ask.fence:
            del self._heard[pair]
        elif answer.permit is not None and ask.fence < heard:
            self._broken(Rule.FENCED, f"{pair[1]}: {ask.fence} was answered behind {heard}")
