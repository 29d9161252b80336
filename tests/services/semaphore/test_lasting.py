"""What outlives a run of the semaphore, its process, and itself: holders, queue, tokens."""

import asyncio

import pytest

from services.semaphore.models import SemaphoreRules
from services.semaphore.rebuilding import rebuild
from tests.fixtures.eventually import eventually
from tests.services.semaphore.standins import Jobs

# More requests than a run takes under a history that is bound to 25 events.
MANY = 10


async def run_of(jobs: Jobs) -> str:
    return str((await jobs.semaphore.describe()).run_id)


async def another_run(jobs: Jobs, old: str) -> None:
    """Return when the semaphore has begun another run."""
    await eventually(lambda: run_of(jobs), lambda run: run != old)


async def kill_semaphore(jobs: Jobs) -> None:
    """Terminate the semaphore, and return when the one that comes back has rebuilt."""
    run = await run_of(jobs)
    await jobs.semaphore.terminate()
    await another_run(jobs, run)


def tokens(jobs: Jobs) -> list[int]:
    return [permit.token for permit in jobs.book.permits]


class TestContinueAsNew:
    """With a history bound so low that each few grants begin a new run."""

    @pytest.fixture
    def rules(self) -> SemaphoreRules:
        return SemaphoreRules(max_history=25)

    async def test_no_request_is_lost_or_doubled(self, kept: Jobs) -> None:
        first = await run_of(kept)
        names = [f"job-{n:02}" for n in range(14)]
        for name in names:
            await kept.start(name)
        runs = {first}
        for name in names:
            await kept.book.has_entered(name)
            runs.add(await run_of(kept))
            await kept.finish(name)
        assert kept.book.entered == names
        assert kept.book.most == 1
        assert tokens(kept) == sorted(set(tokens(kept)))
        assert len(runs) >= 4
        await kept.until(lambda view: not view.holders and not view.waiting)

    async def test_the_watches_of_a_wide_gate_alone_do_not_end_a_run(self, kept: Jobs) -> None:
        await kept.change(limit=22)
        for n in range(22):
            await kept.start(f"job-{n:02}")
        await kept.book.until(lambda: len(kept.book.inside) == 22)
        runs = []
        for _ in range(12):
            await kept.change(limit=22)
            runs.append(await run_of(kept))
        assert len(set(runs)) <= 8

    async def test_a_request_for_each_run_arrives_while_it_turns_over(self, kept: Jobs) -> None:
        """Requests and hand-overs mixed, with nobody waiting for anybody."""
        names = [f"job-{n:02}" for n in range(14)]

        async def live(name: str) -> None:
            await kept.start(name)
            await kept.book.has_entered(name)
            await kept.finish(name)

        await asyncio.gather(*map(live, names))
        assert sorted(kept.book.entered) == names
        assert kept.book.most == 1
        assert tokens(kept) == sorted(set(tokens(kept)))

    async def test_the_holder_stays_the_holder(self, kept: Jobs) -> None:
        await kept.start("holder")
        await kept.book.has_entered("holder")
        before, run = await kept.view(), await run_of(kept)
        for n in range(MANY):
            await kept.start(f"job-{n:02}")
        await another_run(kept, run)
        after = await kept.view()
        assert after.holders == before.holders
        assert after.waiting_count == MANY
        assert kept.book.entered == ["holder"]

    async def test_draining_goes_on(self, kept: Jobs) -> None:
        holder = await kept.start("holder")
        await kept.book.has_entered("holder")
        await holder.terminate()
        await kept.until(lambda view: any(each.draining for each in view.holders))
        run = await run_of(kept)
        for n in range(MANY):
            await kept.start(f"job-{n:02}")
        await another_run(kept, run)
        await kept.book.until(lambda: len(kept.book.drains) >= 2)
        view = await kept.view()
        assert [(each.job_id, each.draining) for each in view.holders] == [("holder", True)]
        assert kept.book.entered == ["holder"]
        # It is begun anew, and has not to wait for as long once more.
        assert len({each.since for each in kept.book.drains} - {None}) == 1
        kept.book.vendors_clear.set()
        await kept.book.has_entered("job-00")
        assert kept.book.most == 1

    async def test_limit_and_pause_outlive_it_and_a_termination_after_it(self, kept: Jobs) -> None:
        await kept.change(limit=4, paused=True)
        run = await run_of(kept)
        for n in range(MANY):
            await kept.start(f"job-{n:02}")
        await another_run(kept, run)
        view = await kept.view()
        assert (view.limit, view.paused) == (4, True)
        await kill_semaphore(kept)
        view = await kept.until(lambda view: view.waiting_count == MANY)
        assert (view.limit, view.paused) == (4, True)
        assert kept.book.entered == []


class TestTerminated:
    """The semaphore is terminated by hand and comes back."""

    async def test_it_adopts_the_holder_and_the_whole_queue_in_order(self, kept: Jobs) -> None:
        await kept.start("holder")
        await kept.book.has_entered("holder")
        names = ["c", "a", "b"]
        for name in names:
            await kept.start(name)
        await kept.start("urgent", priority=1)
        before = await kept.until(lambda view: view.waiting == ("urgent", "c", "a", "b"))
        await kill_semaphore(kept)
        after = await kept.until(lambda view: bool(view.holders) and view.waiting == before.waiting)
        [old], [new] = before.holders, after.holders
        assert (new.job_id, new.token) == (old.job_id, old.token)
        for name in ("holder", *before.waiting):
            await kept.book.has_entered(name)
            await kept.finish(name)
        assert kept.book.entered == ["holder", *before.waiting]
        assert kept.book.most == 1
        assert tokens(kept) == sorted(set(tokens(kept)))

    async def test_nothing_is_granted_before_it_knows_who_holds(
        self, kept: Jobs, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(rebuild, "LISTING_PAUSE_SECONDS", 0.5)
        await kept.start("holder")
        await kept.book.has_entered("holder")
        await kill_semaphore(kept)
        await kept.start("newcomer", asks=3)
        view = await kept.until(lambda view: bool(view.holders))
        assert [each.job_id for each in view.holders] == ["holder"]
        assert view.waiting == ("newcomer",)
        assert kept.book.entered == ["holder"]
        await kept.finish("holder")
        await kept.book.has_entered("newcomer")
        assert kept.book.most == 1

    async def test_all_holders_of_a_wide_gate_are_adopted(self, kept: Jobs) -> None:
        await kept.change(limit=3)
        await kept.start_and_enter("job-0", "job-1", "job-2")
        for n in (3, 4):
            await kept.start(f"job-{n}")
        await kill_semaphore(kept)
        view = await kept.until(lambda view: len(view.holders) == 3)
        assert view.limit == 3
        assert view.waiting == ("job-3", "job-4")
        for n in range(5):
            await kept.book.has_entered(f"job-{n}")
            await kept.finish(f"job-{n}")
        assert kept.book.most == 3

    async def test_a_change_while_it_rebuilds_counts(
        self, kept: Jobs, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(rebuild, "LISTING_PAUSE_SECONDS", 0.5)
        await kept.change(limit=2)
        await kept.start("holder")
        await kept.book.has_entered("holder")
        await kill_semaphore(kept)
        await kept.change(paused=True)
        view = await kept.until(lambda view: bool(view.holders))
        assert (view.limit, view.paused) == (2, True)

    async def test_what_it_was_clearing_is_cleared_before_anything_is_granted(
        self, kept: Jobs
    ) -> None:
        """The vendor may still work for a job that was killed before the semaphore was."""
        holder = await kept.start("holder")
        await kept.book.has_entered("holder")
        await kept.start("next")
        await holder.terminate()
        await kept.book.until(lambda: len(kept.book.drains) == 1)
        await kill_semaphore(kept)
        await kept.book.until(lambda: len(kept.book.drains) == 2)
        assert kept.book.entered == ["holder"]
        kept.book.vendors_clear.set()
        await kept.book.has_entered("next")
        assert kept.book.most == 1

    async def test_one_that_is_killed_while_it_rebuilds_loses_nothing(
        self, kept: Jobs, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(rebuild, "LISTING_PAUSE_SECONDS", 0.3)
        await kept.change(limit=2)
        killed = await kept.start("killed")
        await kept.start("holder")
        await kept.book.has_entered("killed", "holder")
        await kept.start("next")
        await killed.terminate()
        await kept.book.until(lambda: len(kept.book.drains) == 1)
        await kill_semaphore(kept)
        await kill_semaphore(kept)
        view = await kept.until(lambda view: len(view.holders) == 2)
        assert {holder.job_id for holder in view.holders} == {"killed", "holder"}
        assert (view.limit, view.waiting) == (2, ("next",))
        kept.book.vendors_clear.set()
        await kept.book.has_entered("next")
        assert kept.book.most == 2

    async def test_a_job_that_asks_brings_it_back(self, kept: Jobs) -> None:
        """Nobody needs to wait for the semaphore's own process to notice."""
        await kept.semaphore.terminate()
        await kept.start("job")
        await kept.book.has_entered("job")
