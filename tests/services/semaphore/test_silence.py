"""Who is next and does not ask keeps a free place for a moment only."""

import asyncio
from contextlib import suppress

import pytest

from services.semaphore.models import SemaphoreRules
from shared.slot.messages import SKIP_SIGNAL
from tests.services.semaphore.standins import Jobs
from tests.services.semaphore.test_lasting import run_of
from tests.services.semaphore.test_on_deck import finish_all, line_up

pytestmark = pytest.mark.usefixtures("quick_care")


class TestSilence:
    """Who is next and asks for nothing keeps a free place from the others for a moment only."""

    @pytest.fixture
    def rules(self) -> SemaphoreRules:
        return SemaphoreRules(ask_patience=0.8)

    async def test_it_is_passed_over_and_served_when_it_asks(self, kept: Jobs) -> None:
        speak = kept.book.mute("second")
        await line_up(kept, "first", "second", "third")
        await kept.finish("first")
        await kept.book.has_entered("third")
        assert (await kept.view()).waiting == ("second",)
        await kept.start("fourth")
        await kept.book.is_called("fourth")
        speak.set()
        await kept.has_asked("second")
        await kept.finish("third")
        await finish_all(kept, "second", "fourth")
        assert kept.book.entered == ["first", "third", "second", "fourth"]
        assert kept.book.most == 1

    async def test_while_no_place_is_free_nobody_is_passed_over(self, kept: Jobs) -> None:
        speak = kept.book.mute("second")
        await line_up(kept, "first", "second", "third")
        # Nothing happens, for longer than the patience.
        await asyncio.sleep(1.2)
        assert kept.book.called["third"] == 0
        speak.set()
        await kept.has_asked("second")
        await finish_all(kept, "first", "second", "third")

    async def test_a_silent_one_that_is_killed_is_forgotten(self, kept: Jobs) -> None:
        kept.book.mute("second")
        _, second, _ = await line_up(kept, "first", "second", "third")
        await kept.finish("first")
        await kept.book.has_entered("third")
        await second.terminate()
        await kept.until(lambda view: view.waiting == ())
        assert kept.book.drains == []


class TestContinueAsNew:
    """Each run of the semaphore is short, and nobody's patience ends by itself."""

    @pytest.fixture
    def rules(self) -> SemaphoreRules:
        return SemaphoreRules(max_history=25, ask_patience=3600)

    async def test_the_next_run_waits_for_nobody_who_was_passed_over(self, kept: Jobs) -> None:
        kept.book.mute("silent")
        silent = await kept.start("silent")
        await kept.start("other")
        await kept.semaphore.signal(SKIP_SIGNAL, [silent.first_execution_run_id])
        await kept.book.has_entered("other")
        before = await run_of(kept)
        while await run_of(kept) == before:
            await kept.change(limit=1)
        await kept.finish("other")
        await kept.start_and_enter("later")
        await silent.terminate()
        await kept.until(lambda view: view.waiting == ())


class TestLongSilence:
    """The patience is longer here than any of the other steps takes."""

    @pytest.fixture
    def rules(self) -> SemaphoreRules:
        return SemaphoreRules(ask_patience=2.5)

    async def test_what_happens_meanwhile_does_not_lengthen_the_wait(self, kept: Jobs) -> None:
        """Others come to be next beside it, and go, one after the other."""
        await kept.change(limit=2)
        kept.book.mute("silent")
        await line_up(kept, "first", "silent")
        for n in range(50):
            other = await kept.start(f"job-{n}")
            await kept.book.is_called(other.id)
            with suppress(TimeoutError):
                async with asyncio.timeout(0.1):
                    return await kept.book.has_entered(other.id)
            await other.cancel()
        pytest.fail("the silent one keeps its place")
