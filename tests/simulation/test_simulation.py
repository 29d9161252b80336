"""The simulation itself: it repeats itself, lets good runs pass, and sees what is broken."""

from dataclasses import replace

import pytest

from services.semaphore.deterministic.permits import Permits
from services.worker.acting import records, submitting
from tests.simulation import stubs
from tests.simulation.__main__ import main
from tests.simulation.plan import JobPlan, Kind, Options, Plan, Strike, drawn, mixed
from tests.simulation.shrink import shrunk
from tests.simulation.simulation import simulate
from tests.simulation.verdicts import Rule

CALM = Options(strikes=0, odd=0.0, forgets=0.0, loses=0.0, slow=0.0)
# A worker is frozen between its look-up and its submit, for longer than a submit is looked for.
FROZEN = Plan(
    1, replace(CALM, jobs=1), (JobPlan(at=0.0),),
    (Strike(Kind.FREEZE_WORKER, "0 tried gen_image", 0.004, 0, 0.9, 45.0),),
)  # fmt: skip


def _break(monkeypatch: pytest.MonkeyPatch) -> None:
    """A semaphore that grants to each run that asks."""
    monkeypatch.setattr(Permits, "can_grant", lambda self: len(self.queue) > 0)


def test_the_same_seed_is_the_same_history() -> None:
    first, second = (simulate(drawn(7), tells=True) for _ in range(2))

    assert first.told == second.told
    assert len(first.told) > 20


def test_of_a_mix_nothing_is_drawn_and_all_else_is_as_it_was() -> None:
    plan = drawn(7)

    assert mixed(7, {}) == plan
    slow = mixed(7, {"slow": 0.5})
    assert (slow.options.slow, slow.options.strikes) == (0.5, plan.options.strikes)
    assert (slow.jobs, slow.strikes) == (plan.jobs, plan.strikes)


def test_the_command_hands_on_its_mix(capsys: pytest.CaptureFixture[str]) -> None:
    mix = "jobs=2 strikes=9 odd=0 overtakes=0 loses=0 forgets=0 slow=0"
    assert main(["--seed", "7", "--only", "--kinds", "pause", "--mix", mix]) == 0

    told = capsys.readouterr().out
    assert "** pause" in told
    assert "** kill" not in told
    assert "job 2" not in told


def test_all_words_that_there_are_not_are_told_in_one_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    mix = "speed=1 jobs=0 jobs=2.5 slow=nan slow= limit=2"
    assert main(["--kinds", "pause,sleep,wake", "--mix", mix]) == 2

    told = capsys.readouterr().err
    assert told.count("\n") == 1
    for wrong in ("KINDS=sleep: not one of cancel, ", "KINDS=wake: ", "MIX=speed=1: not one of "):
        assert wrong in told
    for wrong in ("jobs=0: too few", "jobs=2.5: no such number", "slow=nan: too few", "slow=: "):
        assert f"MIX={wrong}" in told
    assert "limit=2" not in told
    assert "KINDS=pause" not in told


def test_without_strikes_every_job_succeeds() -> None:
    outcome = simulate(
        Plan(1, CALM, tuple(JobPlan(at=index / 10) for index in range(3))), tells=True
    )

    assert outcome.violations == []
    assert sum("closed COMPLETED" in line for line in outcome.told) == 3


def test_replays_from_the_beginning_change_nothing() -> None:
    for seed in range(20):
        assert simulate(drawn(seed, Options(strikes=0, odd=0.0, forgets=0.5))).violations == []


def test_a_semaphore_that_grants_too_much_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    _break(monkeypatch)
    outcome = simulate(Plan(1, CALM, (JobPlan(at=0.0), JobPlan(at=0.1))))

    assert Rule.AT_ONCE in {violation.rule for violation in outcome.violations}


def test_a_replaced_try_that_submits_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    async def yes(client: object) -> bool:
        return True

    assert simulate(FROZEN).violations == []
    monkeypatch.setattr(submitting, "is_current_try", yes)
    outcome = simulate(FROZEN)

    assert Rule.PAID_ONCE in {violation.rule for violation in outcome.violations}


def test_a_version_with_two_contents_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stubs, "is_beginning", lambda *_: True)
    monkeypatch.setattr(records, "is_beginning", lambda *_: True)
    outcome = simulate(drawn(1001))

    assert Rule.VERSIONS in {violation.rule for violation in outcome.violations}


def test_shrinking_leaves_what_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    _break(monkeypatch)
    small = shrunk(drawn(3, Options(strikes=4)), Rule.AT_ONCE)

    assert len(small.present()) == 2
    assert small.strikes == ()
