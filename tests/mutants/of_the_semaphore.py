"""Mutants of the semaphore."""

from tests.mutants.mutant import Mutant
from tests.mutants.scenes import SCENES

MUTANTS = (
    Mutant(
        name="two-holders",
        breaks="one run more than the limit may hold",
        edits=(
            (
                "has_room = len(self.held) < self.settings.limit",
                "has_room = len(self.held) <= self.settings.limit",
            ),
        ),
        scene=SCENES["queue"],
        rule="overlap",
        jobs=("#2",),
    ),
    Mutant(
        name="watch-ends-early",
        breaks="a holder is taken for closed 50 ms after its grant",
        edits=(
            (
                "            closed = await until_closed(self._client, watch.run)\n",
                "            await asyncio.sleep(0.05)\n            closed = Closed.ORDERLY\n",
            ),
        ),
        scene=SCENES["queue"],
        rule="overlap",
        jobs=("#2",),
    ),
    Mutant(
        name="newest-first",
        breaks="the place goes to the request that came last",
        edits=(("self.waiting[self._turns[0][1]]", "self.waiting[self._turns[-1][1]]"),),
        scene=SCENES["queue"],
        rule="turn",
        jobs=("#3", "#4"),
    ),
    Mutant(
        name="priority-ignored",
        breaks="a more urgent job waits like the others",
        edits=(
            (
                "return submitted + request.priority * AGEING_SECONDS, request.run_id",
                "return submitted, request.run_id",
            ),
        ),
        scene=SCENES["priorities"],
        rule="turn",
        jobs=("#2", "#3"),
    ),
    Mutant(
        name="view-shows-nobody",
        breaks="`GET /slots` shows no holder",
        edits=(
            (
                "                for each in self.held.values()\n",
                "                for each in ()\n",
            ),
        ),
        scene=SCENES["slow"],
        rule="slots.holders",
        jobs=("#1", "#2"),
    ),
    Mutant(
        name="view-shows-nobody-waiting",
        breaks="`GET /slots` counts nobody who waits",
        edits=(("waiting_count=len(self.waiting),", "waiting_count=0,"),),
        scene=SCENES["slow"],
        rule="slots.waiting",
        jobs=("#2",),
    ),
    Mutant(
        name="token-repeats",
        breaks="each permit has the same number",
        edits=(
            (
                "        self.next_token += 1\n        self.held[request.run_id] = holder\n",
                "        self.held[request.run_id] = holder\n",
            ),
        ),
        scene=SCENES["plain"],
        rule="permit",
        jobs=("#2", "#3"),
    ),
    Mutant(
        name="permit-not-signalled",
        breaks="a grant is noted and not told to its run",
        edits=(
            (
                "signalled = await self._signal(watch)\n",
                "signalled = True\n",
            ),
        ),
        scene=SCENES["stands still"],
        rule="still_open",
        jobs=("#1", "#2"),
    ),
    Mutant(
        name="permit-signalled-twice",
        breaks="a run is told of its permit twice",
        edits=(
            (
                "signalled = await self._signal(watch)\n",
                "signalled = await self._signal(watch)\n            await self._signal(watch)\n",
            ),
        ),
        scene=SCENES["plain"],
        harmless="a run takes its permit once, and a repeat changes nothing",
    ),
    Mutant(
        name="drain-skipped",
        breaks="the place of a terminated run is free at once",
        edits=(
            (
                "if isinstance(ended, Ended) and not ended.is_clear:\n",
                "if isinstance(ended, Ended) and not ended.closed:\n",
            ),
        ),
        scene=SCENES["terminated"],
        rule="overlap",
        jobs=("#2",),
    ),
    Mutant(
        name="rebuild-forgets-the-holder",
        breaks="a semaphore that comes back does not know who holds",
        edits=(
            (
                "holders=tuple(each for run_id, each in held.items() if run_id not in cleared),",
                "holders=(),",
            ),
        ),
        scene=SCENES["semaphore terminated"],
        rule="overlap",
        jobs=("#2",),
    ),
    Mutant(
        name="rebuild-forgets-the-queue",
        breaks="a semaphore that comes back does not know who waits",
        edits=(("        self._queue(found.waiting)\n", ""),),
        scene=SCENES["semaphore terminated"],
        rule="still_open",
        jobs=("#2", "#3"),
    ),
    Mutant(
        name="watch-not-renewed",
        breaks="a watch that an operator has failed is not followed by another one",
        edits=(
            (
                "                await workflow.sleep(AGAIN_SECONDS)\n",
                "                return\n",
            ),
        ),
        scene=SCENES["watch failed"],
        rule="still_open",
        jobs=("#2", "#3"),
    ),
    Mutant(
        name="limit-misstated",
        breaks="`GET /slots` shows a limit that is one too high",
        edits=(
            (
                "        return SlotView(\n            limit=self.settings.limit,\n",
                "        return SlotView(\n            limit=self.settings.limit + 1,\n",
            ),
        ),
        scene=SCENES["very slow"],
        rule="slots.limit",
        jobs=("run",),
    ),
)
