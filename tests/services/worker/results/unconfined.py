"""The media check in the test's own process: for tests of what goes on around it."""

import asyncio
from pathlib import Path

from services.worker.results import media
from services.worker.results.checker import FAILURES, Checker
from shared.states import Step


def check(path: Path, step: Step) -> None:
    """As the worker is told: BadResult or WrongKind."""
    try:
        media.check(path, step)
    except media.Refused as refused:
        raise FAILURES[refused.code](str(refused)) from None


class Unconfined(Checker):
    """A checker without a process."""

    def __init__(self) -> None:
        pass

    async def check(self, path: Path, step: Step) -> None:
        await asyncio.to_thread(check, path, step)
