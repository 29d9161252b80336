"""Permits under any sequence of events, against a model of what runs may really do."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from services.semaphore.deterministic.permits import MAX_ON_DECK, Permits
from services.semaphore.deterministic.queue import turn
from shared.slot.messages import Acquire, Fence, Holder, Release, SemaphoreSettings, SlotRequest
from tests.services.semaphore.asking import START, has_to_tell, new_permits, request

# The semaphore comes to rest after each event mostly, now and then after several.
AT_ONCE = st.sampled_from([True, True, True, False])


class Semaphore(RuleBasedStateMachine):
    """Any order of requests, tries that ask, ends, kills, and changes of the settings.

    The model knows what each run was told and what its tries were answered, so that it can say
    who may be granted a place, and that nobody waits for a word that does not come. Grants, calls
    and answers come in any order, as the coroutines of the semaphore may.
    """

    @initialize(limit=st.integers(1, 3), waiting=st.integers(0, 6))
    def begin(self, limit: int, waiting: int) -> None:
        self.permits = new_permits(limit=limit)
        self.count = 0
        self.requests: dict[str, SlotRequest] = {}
        self.open: set[str] = set()
        self.leftovers: set[str] = set()
        # Tries whose update the semaphore has taken and not answered.
        self.asking: list[Acquire] = []
        # The highest fence of each run, since it was last sent away.
        self.highest: dict[str, Fence] = {}
        self.called: set[str] = set()
        self.silent: set[str] = set()
        self.most = limit
        self.tokens: list[int] = []
        for _ in range(waiting):
            self.wait_too(3)

    # What the semaphore does.

    def grant(self) -> None:
        """One place, judged by what the model knows."""
        held, wanted = dict(self.permits.held), self.permits.settings
        order = sorted(
            (self.requests[run] for run in self.open - set(held)),
            key=turn,
        )
        permit = self.permits.next_permit(START)
        assert not wanted.paused
        assert len(held) < wanted.limit
        assert permit.run_id not in held
        assert any(each.request.run_id == permit.run_id for each in self.asking)
        speaking = [each.run_id for each in order if each.run_id not in self.silent]
        place = speaking.index(permit.run_id)
        asking = {each.request.run_id for each in self.asking}
        assert not asking.intersection(speaking[:place])
        assert place < min(wanted.limit - len(held), MAX_ON_DECK)
        self.tokens.append(permit.token)

    def call(self) -> None:
        for run in self.permits.to_tell():
            assert run.run_id in self.permits.queue
            self.called.add(run.run_id)

    def answer(self, mine: Acquire) -> None:
        permit = self.permits.permit_for(mine)
        self.asking = [each for each in self.asking if each is not mine]
        run_id = mine.request.run_id
        if permit is not None:
            assert permit.token == self.permits.held[run_id].token
            assert permit.run_id == run_id
            assert not self.permits.held[run_id].draining
            assert mine.fence == self.highest[run_id]
        elif mine.fence == self.highest.get(run_id):
            # Its activity has failed with that: the run waits to be told.
            self.called.discard(run_id)
            if run_id not in self.permits.held:
                self.highest.pop(run_id, None)

    def steps(self) -> list[str]:
        wanted = ["grant"] if self.permits.has_next() else []
        wanted += ["call"] if has_to_tell(self.permits) else []
        return wanted + ["answer"] * any(map(self.permits.is_decided, self.asking))

    def rest(self, data: st.DataObject) -> None:
        """All that the semaphore does until the next event, in an order that may be any."""
        while wanted := self.steps():
            match data.draw(st.sampled_from(wanted)):
                case "grant":
                    self.grant()
                case "call":
                    self.call()
                case "answer":
                    decided = [each for each in self.asking if self.permits.is_decided(each)]
                    self.answer(data.draw(st.sampled_from(decided)))
        self.nobody_is_forgotten()

    def nobody_is_forgotten(self) -> None:
        """Whoever is next asks, or was told since it was last sent away; nobody asks in vain."""
        speaking = [each.run_id for each in self.permits.queue if each.run_id not in self.silent]
        deck = set(speaking[: min(self.permits.settings.limit, MAX_ON_DECK)])
        assert deck <= self.called | {each.request.run_id for each in self.asking}
        for mine in self.asking:
            assert mine.request.run_id in deck
            assert mine.fence == self.highest[mine.request.run_id]

    # What happens to it.

    @rule(priority=st.integers(1, 5), data=st.data(), at_once=AT_ONCE)
    def wait(self, priority: int, data: st.DataObject, at_once: bool) -> None:
        self.wait_too(priority)
        self.then(data, at_once)

    def wait_too(self, priority: int) -> None:
        self.count += 1
        wanted = request(self.count, priority=priority)
        for _ in range(2):
            assert self.permits.request(wanted)
        self.requests[wanted.run_id] = wanted
        self.open.add(wanted.run_id)

    def then(self, data: st.DataObject, at_once: bool = True) -> None:
        if at_once:
            self.rest(data)

    @precondition(lambda self: self.open)
    @rule(data=st.data(), fence=st.tuples(*[st.integers(0, 2)] * 3), at_once=AT_ONCE)
    def try_to_acquire(self, data: st.DataObject, fence: Fence, at_once: bool) -> None:
        """Mostly by one that was told, now and then by any; older tries are still about."""
        run_id = data.draw(st.sampled_from(sorted(self.open & self.called) or sorted(self.open)))
        self.let_ask(run_id, fence)
        self.then(data, at_once)

    @precondition(lambda self: self.open)
    @rule(data=st.data(), fence=st.tuples(*[st.integers(0, 2)] * 3), early=st.booleans())
    def try_untold(self, data: st.DataObject, fence: Fence, early: bool) -> None:
        """`early`: when it was let in, the semaphore had not come up and knew of no later try."""
        self.let_ask(data.draw(st.sampled_from(sorted(self.open))), fence, early=early)
        self.then(data)

    def let_ask(self, run_id: str, fence: Fence, *, early: bool = False) -> None:
        mine = Acquire(request=self.requests[run_id], fence=fence, holds_seconds=60)
        is_older = fence < self.permits.heard(run_id)
        assert is_older == (fence < self.highest.get(run_id, fence))
        if not is_older:
            self.highest[run_id] = fence
            self.silent.discard(run_id)
        if early or not is_older:
            self.permits.ask(mine)
            self.asking.append(mine)

    @precondition(lambda self: self.open)
    @rule(data=st.data(), at_once=AT_ONCE)
    def close(self, data: st.DataObject, at_once: bool) -> None:
        """A run ends by its own code: what it holds is free at once."""
        run_id = self.one_of(data)
        self.open.discard(run_id)
        self.gone(run_id)
        self.then(data, at_once)

    @precondition(lambda self: self.open)
    @rule(data=st.data(), at_once=AT_ONCE)
    def kill(self, data: st.DataObject, at_once: bool) -> None:
        """A run is closed from outside; what is left of it is cleared later."""
        run_id = self.one_of(data)
        self.open.discard(run_id)
        if run_id in self.permits.held:
            self.permits.drain(run_id, START)
            self.leftovers.add(run_id)
        else:
            self.gone(run_id)
        self.then(data, at_once)

    @precondition(lambda self: self.leftovers)
    @rule(data=st.data(), at_once=AT_ONCE)
    def clear(self, data: st.DataObject, at_once: bool) -> None:
        run_id = data.draw(st.sampled_from(sorted(self.leftovers)))
        self.leftovers.discard(run_id)
        self.gone(run_id)
        self.then(data, at_once)

    def one_of(self, data: st.DataObject) -> str:
        """Mostly one that holds."""
        holding = sorted(self.open & set(self.permits.held))
        run_id: str = data.draw(st.sampled_from(holding + sorted(self.open)))
        return run_id

    def gone(self, run_id: str) -> None:
        """As when a watch ends; its tries that are still about are answered some time."""
        self.permits.withdraw(run_id)
        self.permits.release(run_id)
        self.called.discard(run_id)
        self.silent.discard(run_id)
        self.highest.pop(run_id, None)

    @precondition(lambda self: self.permits.held)
    @rule(data=st.data(), token_off=st.sampled_from([0, 0, 0, -1, 1]), again=st.booleans())
    def give_back(self, data: st.DataObject, token_off: int, again: bool) -> None:
        """A run passes a gate and goes on; what it says counts for its own token alone."""
        run_id = data.draw(st.sampled_from(sorted(self.permits.held)))
        holder: Holder = self.permits.held[run_id]
        back = self.permits.give_back(Release(run_id=run_id, token=holder.token + token_off))
        assert back is (token_off == 0 and not holder.draining)
        if back:
            self.gone(run_id)
            if again:
                self.permits.request(self.requests[run_id])
            else:
                self.open.discard(run_id)
        self.then(data)

    @precondition(lambda self: self.permits.awaited())
    @rule(data=st.data())
    def be_patient_no_more(self, data: st.DataObject) -> None:
        queued = [each.run_id for each in self.permits.queue if each.run_id not in self.silent]
        free = self.permits.settings.limit - len(self.permits.held)
        asking = {each.request.run_id for each in self.asking}
        awaited = set(queued[: min(free, MAX_ON_DECK)]) - asking
        assert self.permits.awaited() == awaited
        some = data.draw(st.sets(st.sampled_from(sorted(awaited)), min_size=1))
        self.permits.pass_over(some)
        self.silent |= some
        self.called -= self.silent
        self.then(data)

    @rule(limit=st.integers(1, 3), paused=st.booleans(), data=st.data(), at_once=AT_ONCE)
    def change(self, limit: int, paused: bool, data: st.DataObject, at_once: bool) -> None:
        self.permits.settings = SemaphoreSettings(limit=limit, paused=paused)
        self.most = max(self.most, limit)
        self.then(data, at_once)

    @rule(data=st.data())
    def continue_as_new(self, data: st.DataObject) -> None:
        """Every try is answered first; those without a permit ask the next run."""
        for mine in list(self.asking):
            self.answer(mine)
        self.permits = Permits(self.permits.state())
        self.highest = {run: holder.fence for run, holder in self.permits.held.items()}
        self.called.clear()
        self.then(data)

    @invariant()
    def no_more_hold_than_the_highest_limit(self) -> None:
        assert len(self.permits.held) <= self.most

    @invariant()
    def every_open_run_is_somewhere_once(self) -> None:
        held, queued = set(self.permits.held), {each.run_id for each in self.permits.queue}
        assert not held & queued
        assert self.open | self.leftovers == held | queued

    @invariant()
    def tokens_only_grow(self) -> None:
        assert self.tokens == sorted(set(self.tokens))


TestSemaphore = Semaphore.TestCase
TestSemaphore.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
