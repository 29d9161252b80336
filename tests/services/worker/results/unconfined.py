"""The media check in the test's own process: for tests of what goes on around it."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from services.worker.results import media
from services.worker.results.checker import FAILURES, Checker, Verdict
from services.worker.results.refusals import Refused
from shared.jobs.assets import KINDS, Kind
from shared.jobs.states import Step


def check(path: Path, step: Step, kinds: Sequence[Kind] = ()) -> Verdict:
    """As the worker is told: BadResult or WrongKind; without kinds, by the small contract."""
    try:
        return Verdict(*media.check(path, step, kinds or KINDS[step][:1]))
    except Refused as refused:
        raise FAILURES[refused.code](str(refused)) from None


class Unconfined(Checker):
    """A checker without a process."""

    def __init__(self) -> None:
        pass

    async def check(self, path: Path, step: Step, kinds: Sequence[Kind]) -> Verdict:
        return await asyncio.to_thread(check, path, step, kinds)
