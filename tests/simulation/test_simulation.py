"""No rule is broken, by stored seeds and new ones; and what is broken is seen."""

import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from shared.jobs.slots import JOB_GATE
from shared.pipeline import state, submitting
from shared.semaphore.messages import semaphore_id
from shared.semaphore.state import Permits
from tests.simulation.__main__ import main
from tests.simulation.plan import JobPlan, Kind, Options, Plan, Rule, Stored, Strike, drawn, stored
from tests.simulation.shrink import shrunk, told
from tests.simulation.simulation import Simulation, simulate

CALM = Options(strikes=0, odd=0.0, forgets=0.0, loses=0.0, slow=0.0)
NEW_SEEDS = 80
# A job sees its callback, or its cancellation, and then the end of the activity that it stops.
CALLED_BACK, CANCELLED = (1075, 1107, 1151, 1152, 1155, 1189), (1041, 1068)


@pytest.mark.parametrize("seed", stored(), ids=lambda seed: f"{seed.seed}-{seed.rule}")
def test_stored_seed_breaks_no_rule(seed: Stored) -> None:
    outcome = simulate(seed.plan(), tells=True)

    assert not outcome.violations, told(outcome)


def test_new_seeds_break_no_rule() -> None:
    """Every time another part of all that can happen; each fifth task of every other one is
    overtaken by a query."""
    first = int(datetime.now(UTC).strftime("%y%m%d%H%M%S")) * 1000
    for seed in range(first, first + NEW_SEEDS):
        outcome = simulate(_overtaken(seed, 0.2) if seed % 2 else drawn(seed))
        if outcome.violations:
            small = shrunk(outcome.plan, outcome.violations[0].rule)
            pytest.fail(f"seed {seed}\n{told(simulate(small, tells=True))}")


def test_query_ahead_of_its_task_replays() -> None:
    """It may show one message ahead of others that the history tells in the same task."""
    outcomes = [simulate(_overtaken(seed, 0.3)) for seed in (*CALLED_BACK, *CANCELLED)]

    assert [each for outcome in outcomes for each in outcome.violations] == []


def _overtaken(seed: int, share: float) -> Plan:
    plan = drawn(seed)
    return replace(plan, options=replace(plan.options, overtakes=share))


def test_vain_queries_do_not_end_a_semaphores_run() -> None:
    """Told to ask again, they would end the next run as well, and no end would be heard."""
    wide = replace(CALM, limit=5, max_history=20, jobs=10)
    simulation = Simulation(Plan(1, wide, tuple(JobPlan(at=index / 100) for index in range(10))))
    assert simulation.run().violations == []
    runs = simulation.server.by_run.values()
    assert sum(run.workflow_id == semaphore_id(JOB_GATE) for run in runs) <= wide.jobs


# That it can fail


def test_same_seed_gives_the_same_history() -> None:
    first, second = (simulate(drawn(7), tells=True) for _ in range(2))

    assert first.told == second.told
    assert len(first.told) > 20


def test_semaphore_over_its_limit_is_found_and_shrunk(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Permits, "can_grant", lambda self: bool(self.waiting))
    small = shrunk(drawn(3, Options(strikes=4)), Rule.AT_ONCE)

    assert len(small.present()) == 2
    assert small.strikes == ()
    assert Rule.AT_ONCE in {violation.rule for violation in simulate(small).violations}


def test_submit_of_a_replaced_try_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its worker is frozen between look-up and submit, longer than a submit is looked for."""

    async def yes(client: object) -> bool:
        return True

    freeze = Strike(Kind.FREEZE_WORKER, "0 tried gen_image", 0.004, 0, 0.9, 45.0)
    frozen = Plan(1, replace(CALM, jobs=1), (JobPlan(at=0.0),), (freeze,))
    assert simulate(frozen).violations == []
    monkeypatch.setattr(submitting, "is_current_try", yes)

    assert Rule.PAID_ONCE in {violation.rule for violation in simulate(frozen).violations}


def test_change_that_is_recorded_twice_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A workflow task is lost after it has recorded a change, and repeated."""
    losing = drawn(2, replace(CALM, jobs=2, loses=0.25))
    assert simulate(losing).violations == []
    monkeypatch.setattr(state, "_are_one", lambda *_: False)

    assert Rule.WHOLE in {violation.rule for violation in simulate(losing).violations}


# The command


def test_strikes_have_known_kinds(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seed", "7", "--only", "--kinds", "pause,limit"]) == 0
    struck = re.findall(r"\*\* (\w+)", capsys.readouterr().out)
    assert struck
    assert set(struck) <= {"pause", "limit"}

    assert main(["--kinds", "pause,sleep"]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert "KINDS=sleep: not one of cancel, " in line
