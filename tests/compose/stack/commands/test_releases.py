"""What is made current, and when: by `make up` of everything, else by `make promote`."""

import pytest

from compose.stack.commands import releases
from compose.stack.commands.doctor import Finding, _builds
from compose.stack.errors import USAGE, VERDICT, StackError
from compose.stack.modes import choice
from compose.stack.preflight.builds import Build
from compose.stack.settings import saved
from compose.stack.settings.builds import build
from compose.stack.settings.load import Settings
from compose.stack.subprocesses import Outcome
from tests.compose.stack.conftest import Load
from tests.compose.stack.preflight.test_builds import OLD, SPREAD, Stack, of_workers, said

PROGRAM = ("worker", "services.worker.promote")
NONE_OPEN = Outcome(0, '{"open": 0, "replayed": 0, "failures": {}}\n', "")
CURRENT = of_workers("2e3", jobs=1, processes=4, current=True)


@pytest.fixture
def spread(settings: Load) -> Settings:
    found = settings(**SPREAD)
    found.run_dir.mkdir(parents=True)
    return found


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Stack:
    """The stack that is chosen."""
    found = Stack([said(CURRENT)])
    for name in ("chosen", "prepared"):
        monkeypatch.setattr(choice, name, lambda _: found)
    monkeypatch.setattr(choice, "with_base_image", lambda _, stack: stack)
    monkeypatch.setattr(releases, "PAUSE", 0)
    return found


def words(settings: Settings, *names: str) -> tuple[str, ...]:
    return tuple(f"{name}={build(settings, name)}" for name in names)


def test_up_of_everything_makes_all_of_it_current_and_moves_what_is_open(
    settings: Load, run: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = settings(RELEASES="pinned")
    whole.run_dir.mkdir(parents=True)
    run.answers = [said(CURRENT, moved=2)]
    releases.settle(whole, run)
    assert run.asked == [(*PROGRAM, *words(whole, "semaphore", "worker"), "--move")]
    assert capsys.readouterr().out.endswith(f"go on by build {build(whole, 'worker')}: 2\n")
    # Switched off again: what had a build goes on without one, once.
    plain = settings()
    releases.settle(plain, run)
    assert run.asked[1:] == [(*PROGRAM, "semaphore=", "worker=", "--move")]
    releases.settle(plain, run)
    assert len(run.asked) == 2


@pytest.mark.parametrize(
    ("roles", "promoted"), [("worker", ()), ("semaphore,worker", ("semaphore",)), ("api", ())]
)
def test_up_of_a_part_makes_the_semaphore_alone_current(
    settings: Load, run: Stack, roles: str, promoted: tuple[str, ...]
) -> None:
    found = settings(**SPREAD | {"ROLES": roles})
    found.run_dir.mkdir(parents=True)
    releases.settle(found, run)
    assert run.asked == ([(*PROGRAM, *words(found, *promoted))] if promoted else [])
    noted = saved.checked(found.run_dir, "build")
    assert noted == (build(found, "worker") if "worker" in roles else "")


@pytest.mark.parametrize(("move", "replayed"), [({}, ("--unpinned",)), ({"MOVE": "1"}, ())])
def test_promote_replays_what_goes_on_by_it_before(
    spread: Settings,
    run: Stack,
    capsys: pytest.CaptureFixture[str],
    move: dict[str, str],
    replayed: tuple[str, ...],
) -> None:
    old = of_workers(OLD, jobs=2, processes=1)
    drained = of_workers("d0", jobs=0, processes=1)
    run.answers = [NONE_OPEN, NONE_OPEN, said(CURRENT, old, drained)]
    releases.promote(spread, move)
    *replays, promoted = run.asked
    assert set(replays) == {
        ("semaphore", "services.semaphore.replay_open"),
        ("worker", "services.worker.replay_open", *replayed),
    }
    moves = ("--move",) if move else ()
    assert promoted == (*PROGRAM, *words(spread, "semaphore", "worker"), *moves)
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[1:]]
    assert rows == [
        ["worker", "2e3", "current", "1", "4"],
        ["worker", OLD, "draining", "2", "1"],
        ["worker", "d0", "drained", "0", "1"],
    ]


def test_what_nobody_polls_for_is_not_promoted(spread: Settings, run: Stack) -> None:
    run.answers = [said(CURRENT, missing=("semaphore",))]
    with pytest.raises(StackError, match=r"no semaphore of build [0-9a-f]+ is at work: nothing"):
        releases.promote(spread, {"FORCE": "1"})
    assert len(run.asked) == 1


def test_without_builds_there_is_nothing_to_promote(settings: Load, run: Stack) -> None:
    with pytest.raises(StackError, match="RELEASES=pinned is not set"):
        releases.promote(settings(), {})
    assert run.asked == []


def test_drain_waits_for_the_last_open_job(
    spread: Settings, run: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    saved.note_checked(spread.run_dir, "build", OLD)
    some = [said(CURRENT, of_workers(OLD, jobs=jobs, processes=1)) for jobs in (2, 2, 1)]
    run.answers = [*some, said(CURRENT)]
    releases.drain(spread)
    assert capsys.readouterr().out.splitlines() == [
        f"2 open jobs stay with build {OLD}",
        f"1 open job stays with build {OLD}",
    ]
    assert run.asked == [PROGRAM] * 4


def test_who_gets_new_jobs_is_never_drained(spread: Settings, run: Stack) -> None:
    saved.note_checked(spread.run_dir, "build", OLD)
    run.answers = [said(of_workers(OLD, jobs=2, processes=1, current=True))]
    with pytest.raises(StackError, match="is current") as refused:
        releases.drain(spread)
    assert refused.value.status == VERDICT
    saved.note_checked(spread.run_dir, "build", "")
    with pytest.raises(StackError, match="name none") as refused:
        releases.drain(spread)
    assert refused.value.status == USAGE


@pytest.mark.parametrize(
    ("each", "good", "fix"),
    [
        (CURRENT, True, ""),
        (of_workers(OLD, jobs=2, processes=1), True, ""),
        (of_workers(OLD, jobs=2, processes=0), False, "make promote MOVE=1"),
        (of_workers(OLD, jobs=0, processes=0, current=True), False, "make up with that source"),
        (of_workers("", jobs=1, processes=0, current=True), False, "make promote"),
    ],
)
def test_the_doctor_names_whom_nobody_works_for(
    spread: Settings, run: Stack, each: Build, good: bool, fix: str
) -> None:
    run.answers = [said(Build("semaphore", OLD, current=False, open=3, processes=0), each)]
    [found] = _builds(spread)
    assert (found.good, found.needed) == (good, True)
    if not good:
        assert found.fix.endswith(fix)


def test_unversioned_workers_are_no_fault_while_builds_are_being_switched_on(
    spread: Settings, run: Stack
) -> None:
    run.answers = [said(of_workers("", jobs=1, processes=2, current=True))]
    assert list(_builds(spread)) == [
        Finding(
            "worker of no build", False, "1 open, 2 at work, current", "make promote", needed=False
        )
    ]
