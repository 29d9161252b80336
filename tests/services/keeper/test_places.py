"""Places under any sequence of events, against a model of what runs may really do."""

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

from services.keeper.models import KeeperState
from services.keeper.places import Places
from shared.slots import KeeperSettings, Permit, SlotRequest

START = datetime(2026, 1, 1, tzinfo=UTC)


def request(number: int, *, priority: int = 3) -> SlotRequest:
    return SlotRequest(
        job_id=f"job-{number}",
        run_id=f"run-{number}",
        priority=priority,
        requested_at=START + timedelta(seconds=number),
    )


def places(*, limit: int = 1, waiting: int = 0) -> Places:
    state = KeeperState(settings=KeeperSettings(limit=limit), next_token=100)
    made = Places(state)
    for number in range(waiting):
        made.request(request(number))
    return made


def settle(made: Places) -> list[Permit]:
    """All that the keeper would hand out now."""
    permits = []
    while made.has_next():
        permits.append(made.next_permit(START))
    return permits


def test_the_first_holds_and_the_second_is_armed_behind_it() -> None:
    made = places(waiting=3)
    first, second = settle(made)
    assert (first.run_id, first.after) == ("run-0", None)
    assert second.run_id == "run-1"
    assert second.after is not None
    assert second.after.run_id == "run-0"
    view = made.view()
    assert [each.job_id for each in view.holders] == ["job-0"]
    assert (view.waiting, view.waiting_count) == (("job-1", "job-2"), 2)


def test_after_an_orderly_close_the_armed_one_holds_without_being_told() -> None:
    made = places(waiting=3)
    settle(made)
    assert made.release("run-0", True, now=START) == []
    assert list(made.held) == ["run-1"]
    [permit] = settle(made)
    assert (permit.run_id, permit.after and permit.after.run_id) == ("run-2", "run-1")


def test_after_another_close_the_armed_one_waits_again_and_gets_a_new_token() -> None:
    made = places(waiting=2)
    _, armed = settle(made)
    made.drain("run-0")
    assert settle(made) == []
    assert made.release("run-0", False, now=START) == ["run-1"]
    [again] = settle(made)
    assert (again.run_id, again.after) == ("run-1", None)
    assert again.token > armed.token


def test_an_armed_one_that_was_killed_is_cleared_before_another_is_armed() -> None:
    made = places(waiting=3)
    settle(made)
    made.drain("run-1")
    assert settle(made) == []
    assert made.release("run-1", False, now=START) == []
    [permit] = settle(made)
    assert permit.run_id == "run-2"


def test_an_earlier_turn_disarms_and_takes_over() -> None:
    made = places(waiting=2)
    _, armed = settle(made)
    made.request(request(9, priority=1))
    assert [permit.run_id for permit in made.to_disarm()] == ["run-1"]
    assert made.to_disarm() == []
    assert made.disarmed(armed)
    [permit] = settle(made)
    assert permit.run_id == "run-9"
    assert made.queue.first(1) == ("job-1",)


def test_an_answer_to_an_older_permit_changes_nothing() -> None:
    made = places(waiting=2)
    _, armed = settle(made)
    old = armed.model_copy(update={"token": armed.token - 1})
    assert not made.disarmed(old)
    assert not made.disarmed(armed.model_copy(update={"round": 7}))
    assert not made.disarmed(armed.model_copy(update={"run_id": "run-unknown"}))
    assert list(made.armed) == ["run-1"]


def test_a_place_that_falls_free_goes_to_the_armed_one_at_once() -> None:
    made = places(limit=1, waiting=2)
    _, armed = settle(made)
    made.settings = KeeperSettings(limit=2)
    [permit] = settle(made)
    assert (permit.run_id, permit.token, permit.after) == (armed.run_id, armed.token, None)
    assert permit.round == armed.round + 1
    assert set(made.held) == {"run-0", "run-1"}


@pytest.mark.parametrize(
    "changed", [KeeperSettings(limit=2, paused=True), KeeperSettings(limit=1)], ids=str
)
def test_pause_and_lower_limit_disarm(changed: KeeperSettings) -> None:
    made = places(limit=2, waiting=4)
    permits = settle(made)
    made.settings = changed
    asked = made.to_disarm()
    assert {permit.run_id for permit in asked} == {"run-2", "run-3"}
    assert made.is_disarming()
    for permit in permits[2:]:
        assert made.disarmed(permit)
    assert not made.is_disarming()
    assert not made.wants_disarming()
    assert settle(made) == []


def test_carried_over_it_is_the_same() -> None:
    made = places(limit=2, waiting=6)
    settle(made)
    made.drain("run-0")
    assert Places(made.state()).state() == made.state()


# The keeper mostly decides after each event, now and then after several.
AT_ONCE = st.sampled_from([True, True, True, False])


class Keeper(RuleBasedStateMachine):
    """Any order of requests, ends, kills, answers, and changes of the settings.

    The model knows what each run was told last, and so which of them may act: whoever was told
    to begin, and whoever is armed behind a run that has closed in an orderly way.
    """

    @initialize(limit=st.integers(1, 3), waiting=st.integers(0, 6))
    def begin(self, limit: int, waiting: int) -> None:
        self.places = places(limit=limit)
        self.count = 0
        self.told: dict[str, Permit] = {}
        self.open: set[str] = set()
        self.leftovers: set[str] = set()
        self.orderly: set[str] = set()
        self.stood_down: list[Permit] = []
        self.asked: list[Permit] = []
        self.most = limit
        self.tokens: list[int] = []
        for _ in range(waiting):
            self.ask_for(3)
        self.hand_out(True)

    @rule(priority=st.integers(1, 5), at_once=AT_ONCE)
    def ask(self, priority: int, at_once: bool) -> None:
        self.ask_for(priority)
        self.hand_out(at_once)

    def ask_for(self, priority: int) -> None:
        self.count += 1
        wanted = request(self.count, priority=priority)
        for _ in range(2):
            self.places.request(wanted)
        self.open.add(wanted.run_id)

    def hand_out(self, at_once: bool) -> None:
        """What the keeper does when it comes to it."""
        if not at_once:
            return
        self.asked += self.places.to_disarm()
        for permit in settle(self.places):
            before = self.told.get(permit.run_id)
            if before is None or before.token != permit.token:
                self.tokens.append(permit.token)
            self.told[permit.run_id] = permit

    def one_of(self, data: st.DataObject, runs: set[str]) -> str:
        """Mostly one that the keeper has told something."""
        run_id: str = data.draw(st.sampled_from(sorted(runs & set(self.told)) or sorted(runs)))
        return run_id

    def may_act(self) -> set[str]:
        """Runs that are open and whose permit lets them begin, by what they were told."""
        return {
            run_id
            for run_id, permit in self.told.items()
            if run_id in self.open and (permit.after is None or permit.after.run_id in self.orderly)
        }

    @precondition(lambda self: self.open)
    @rule(data=st.data(), at_once=AT_ONCE)
    def close(self, data: st.DataObject, at_once: bool) -> None:
        """A run ends by its own code; only one that has the slot hands it on."""
        run_id = self.one_of(data, self.open)
        if run_id in self.may_act():
            self.orderly.add(run_id)
        self.open.discard(run_id)
        self.leave(run_id, orderly=True)
        self.hand_out(at_once)

    @precondition(lambda self: self.open)
    @rule(data=st.data(), at_once=AT_ONCE)
    def kill(self, data: st.DataObject, at_once: bool) -> None:
        """A run is closed from outside; what is left of it is cleared later."""
        run_id = self.one_of(data, self.open)
        self.open.discard(run_id)
        if run_id in self.places.held or run_id in self.places.armed:
            self.places.drain(run_id)
            self.leftovers.add(run_id)
        else:
            self.leave(run_id, orderly=True)
        self.hand_out(at_once)

    @precondition(lambda self: self.leftovers)
    @rule(data=st.data(), at_once=AT_ONCE)
    def clear(self, data: st.DataObject, at_once: bool) -> None:
        run_id = data.draw(st.sampled_from(sorted(self.leftovers)))
        self.leftovers.discard(run_id)
        self.leave(run_id, orderly=False)
        self.hand_out(at_once)

    def leave(self, run_id: str, *, orderly: bool) -> None:
        """The keeper learns of an end: by its watch, or by a grant to a run that is gone."""
        self.told.pop(run_id, None)
        if run_id not in self.places.held and run_id not in self.places.armed:
            self.places.queue.remove(run_id)
            return
        for waiting in self.places.release(run_id, orderly, now=START):
            del self.told[waiting]

    @precondition(lambda self: self.asked)
    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        """One that was asked stands down, unless it has begun or was told otherwise."""
        permit = self.asked.pop(data.draw(st.integers(0, len(self.asked) - 1)))
        stands = self.told.get(permit.run_id)
        if stands == permit and permit.run_id in self.open - self.may_act():
            assert self.places.disarmed(permit)
            del self.told[permit.run_id]
            self.stood_down.append(permit)
        self.hand_out(True)

    @precondition(lambda self: self.stood_down)
    @rule(data=st.data())
    def answer_again(self, data: st.DataObject) -> None:
        permit = data.draw(st.sampled_from(self.stood_down))
        now = self.told.get(permit.run_id)
        if now is None or (now.token, now.round) != (permit.token, permit.round):
            assert not self.places.disarmed(permit)

    @rule(limit=st.integers(1, 3), paused=st.booleans())
    def change(self, limit: int, paused: bool) -> None:
        self.places.settings = KeeperSettings(limit=limit, paused=paused)
        self.most = max(self.most, limit)
        self.hand_out(True)

    @rule()
    def continue_as_new(self) -> None:
        self.places = Places(self.places.state())

    @invariant()
    def no_more_than_the_limit_may_act(self) -> None:
        assert self.may_act() <= set(self.places.held)
        assert len(self.places.held) <= self.most

    @invariant()
    def at_most_one_is_armed_behind_a_run(self) -> None:
        alive = [item for item in self.places.armed.values() if not item.holder.draining]
        behind = [item.behind.run_id for item in alive]
        assert len(behind) == len(set(behind))
        assert set(behind) <= set(self.places.held)

    @invariant()
    def every_open_run_is_somewhere_once(self) -> None:
        held, armed = set(self.places.held), set(self.places.armed)
        queued = {each.run_id for each in self.places.queue}
        assert not held & armed
        assert not (held | armed) & queued
        assert self.open | self.leftovers == held | armed | queued

    @invariant()
    def tokens_only_grow(self) -> None:
        assert self.tokens == sorted(set(self.tokens))


TestKeeper = Keeper.TestCase
TestKeeper.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
