"""Permits under any sequence of events, against a model of what runs may really do."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from services.semaphore.models import SemaphoreState
from services.semaphore.permits import MAX_ON_DECK, Permits
from services.semaphore.queue import turn
from shared.slots import Acquire, Fence, Holder, Permit, Release, SemaphoreSettings, SlotRequest

START = datetime(2026, 1, 1, tzinfo=UTC)


def request(number: int, *, priority: int = 3) -> SlotRequest:
    return SlotRequest(
        job_id=f"job-{number}",
        run_id=f"run-{number}",
        priority=priority,
        requested_at=START + timedelta(seconds=number),
    )


def new_permits(*, limit: int = 1, waiting: int = 0) -> Permits:
    state = SemaphoreState(settings=SemaphoreSettings(limit=limit), next_token=100)
    made = Permits(state)
    for number in range(waiting):
        made.request(request(number))
    return made


def ask(number: int, *, tries: int = 1) -> Acquire:
    return Acquire(request=request(number), fence=(0, 1, tries), holds_seconds=60)


def asked(made: Permits, *numbers: int) -> list[Acquire]:
    asks = [ask(number) for number in numbers]
    for each in asks:
        made.ask(each)
    return asks


def settle(made: Permits) -> list[Permit]:
    """All that the semaphore would hand out now."""
    permits = []
    while made.has_next():
        permits.append(made.next_permit(START))
    return permits


def told(made: Permits) -> list[str]:
    return [run.run_id for run in made.to_tell()]


def test_being_next_gives_no_right() -> None:
    made = new_permits(waiting=2)
    assert told(made) == ["run-0"]
    assert not made.has_to_tell()
    assert settle(made) == []
    assert made.awaited() == {"run-0"}


def test_who_is_next_and_asks_is_granted_and_the_one_behind_is_next() -> None:
    made = new_permits(waiting=3)
    [mine] = asked(made, 0)
    assert not made.is_decided(mine)
    [permit] = settle(made)
    assert made.is_decided(mine)
    assert made.permit_for(mine) == permit
    assert (permit.run_id, permit.token) == ("run-0", 100)
    assert told(made) == ["run-1"]
    view = made.view()
    assert [each.job_id for each in view.holders] == ["job-0"]
    assert (view.waiting, view.waiting_count) == (("job-1", "job-2"), 2)


def test_who_holds_is_answered_at_once_however_often_it_asks() -> None:
    made = new_permits(waiting=1)
    asked(made, 0)
    [permit] = settle(made)
    again = ask(0, tries=2)
    made.ask(again)
    assert made.is_decided(again)
    assert made.permit_for(again) == permit


def test_who_asks_before_its_turn_is_sent_away_and_told_when_it_comes() -> None:
    made = new_permits(waiting=2)
    told(made)
    [early] = asked(made, 1)
    assert made.is_decided(early)
    assert made.permit_for(early) is None
    made.withdraw("run-0")
    assert told(made) == ["run-1"]


def test_the_overtaken_one_is_sent_away_and_told_again() -> None:
    made = new_permits(waiting=1)
    made.settings = SemaphoreSettings(paused=True)
    told(made)
    [mine] = asked(made, 0)
    assert not made.is_decided(mine)
    made.request(request(9, priority=1))
    assert made.is_decided(mine)
    assert made.permit_for(mine) is None
    assert told(made) == ["run-9"]
    made.withdraw("run-9")
    assert told(made) == ["run-0"]


def test_who_was_overtaken_before_it_asked_is_told_again_as_well() -> None:
    made = new_permits(waiting=1)
    told(made)
    made.request(request(9, priority=1))
    assert told(made) == ["run-9"]
    made.withdraw("run-9")
    assert told(made) == ["run-0"]


def test_who_was_told_and_asks_to_wait_once_more_is_told_again() -> None:
    """What it was told it has used up elsewhere: at the slot, say, which it had lost."""
    made = new_permits(waiting=2)
    told(made)
    made.pass_over({"run-0"})
    assert told(made) == ["run-1"]
    made.request(request(0))
    assert told(made) == ["run-0"]


def test_who_asks_for_its_permit_is_not_told_again_by_a_repeated_request() -> None:
    made = new_permits(waiting=1)
    made.settings = SemaphoreSettings(paused=True)
    told(made)
    [mine] = asked(made, 0)
    made.request(request(0))
    assert not made.has_to_tell()
    assert not made.is_decided(mine)


def test_a_run_that_nobody_knew_is_sent_away_and_waits_to_be_told() -> None:
    """It may have closed, and a try of it that was frozen asks."""
    made = new_permits()
    [stray] = asked(made, 5)
    assert settle(made) == []
    assert made.is_decided(stray)
    assert made.permit_for(stray) is None
    assert told(made) == ["run-5"]
    asked(made, 5)
    assert [permit.run_id for permit in settle(made)] == ["run-5"]


def test_where_there_is_no_room_an_unknown_run_is_sent_away() -> None:
    made = new_permits(waiting=1)
    made.capacity = 1
    [mine] = asked(made, 5)
    assert made.is_decided(mine)
    assert made.permit_for(mine) is None
    assert not made.knows("run-5")


@pytest.mark.parametrize("holds", [True, False])
def test_an_older_try_gets_nothing_once_a_later_one_has_asked(holds: bool) -> None:
    made = new_permits(waiting=1)
    made.settings = SemaphoreSettings(paused=not holds)
    old, new = ask(0, tries=1), ask(0, tries=2)
    for each in (old, new):
        made.ask(each)
    settle(made)
    assert made.heard("run-0") == new.fence
    made.ask(old)
    assert made.heard("run-0") == new.fence
    assert made.is_decided(old)
    assert made.permit_for(old) is None
    made.settings = SemaphoreSettings()
    settle(made)
    assert made.permit_for(new) is not None


def test_a_later_try_takes_the_permit_over() -> None:
    made = new_permits(waiting=1)
    [old] = asked(made, 0)
    settle(made)
    made.ask(Acquire(request=request(0), fence=(1, 1, 1), holds_seconds=7))
    assert made.permit_for(old) is None
    assert made.held["run-0"].holds_seconds == 7


def test_a_place_is_kept_for_who_is_next_and_silent_until_it_is_passed_over() -> None:
    made = new_permits(waiting=3)
    made.settings = SemaphoreSettings(limit=2)
    asked(made, 1)
    assert [permit.run_id for permit in settle(made)] == ["run-1"]
    asked(made, 2)
    assert settle(made) == []
    assert made.awaited() == {"run-0"}
    made.pass_over({"run-0"})
    assert [permit.run_id for permit in settle(made)] == ["run-2"]
    made.release("run-1")
    assert made.awaited() == set()
    asked(made, 0)
    assert [permit.run_id for permit in settle(made)] == ["run-0"]


def test_with_two_places_the_second_need_not_wait_for_the_first() -> None:
    made = new_permits(limit=2, waiting=3)
    asked(made, 1)
    assert [permit.run_id for permit in settle(made)] == ["run-1"]


def test_who_asks_is_not_passed_over_with_the_silent_one_before_it() -> None:
    made = new_permits(limit=2, waiting=2)
    asked(made, 1)
    made.pass_over({"run-0", "run-1"})
    assert [permit.run_id for permit in settle(made)] == ["run-1"]


def test_nobody_is_passed_over_who_has_no_place_to_take() -> None:
    made = new_permits(waiting=2)
    asked(made, 0)
    settle(made)
    assert made.awaited() == set()
    made.pass_over({"run-1"})
    assert told(made) == ["run-1"]


def test_no_more_are_next_than_the_server_lets_ask_at_once() -> None:
    made = new_permits(limit=100, waiting=50)
    assert told(made) == [f"run-{number}" for number in range(MAX_ON_DECK)]
    asked(made, *range(MAX_ON_DECK))
    assert len(settle(made)) == MAX_ON_DECK
    assert len(told(made)) == MAX_ON_DECK


def test_what_is_being_cleared_keeps_its_place_and_has_no_permit() -> None:
    made = new_permits(waiting=2)
    [mine] = asked(made, 0)
    settle(made)
    made.drain("run-0")
    assert made.permit_for(mine) is None
    asked(made, 1)
    assert settle(made) == []
    made.release("run-0")
    assert [permit.run_id for permit in settle(made)] == ["run-1"]


def test_who_holds_for_longer_than_it_may_is_overdue_unless_it_is_cleared_already() -> None:
    made = new_permits(limit=2, waiting=2)
    asked(made, 0, 1)
    settle(made)
    limit = START + timedelta(seconds=60)
    assert made.overdue(limit) == []
    late = limit + timedelta(seconds=1)
    assert [run.run_id for run in made.overdue(late)] == ["run-0", "run-1"]
    made.drain("run-1")
    assert [run.run_id for run in made.overdue(late)] == ["run-0"]


def test_what_a_run_had_asked_for_is_known_while_it_holds_or_waits() -> None:
    made = new_permits(waiting=2)
    asked(made, 0)
    settle(made)
    assert made.request_of("run-0") == request(0)
    assert made.request_of("run-1") == request(1)
    assert made.request_of("run-2") is None


def test_carried_over_it_is_the_same() -> None:
    made = new_permits(limit=2, waiting=6)
    asked(made, 0, 1)
    settle(made)
    made.drain("run-0")
    again = Permits(made.state())
    assert again.state() == made.state()
    assert again.heard("run-1") == (0, 1, 1)
    assert told(again) == ["run-2", "run-3"]


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
        wanted += ["call"] if self.permits.has_to_tell() else []
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
            self.permits.drain(run_id)
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
        self.silent.clear()
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
