"""What is open is replayed by new code, once, and before anything is replaced."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from compose.stack.errors import UNREACHABLE, VERDICT, StackError
from compose.stack.preflight import replay
from compose.stack.services import SEMAPHORE, WORKER, Service
from compose.stack.settings.load import Settings
from compose.stack.subprocesses import Outcome
from tests.compose.stack.conftest import Load

GOOD = {"open": 3, "replayed": 3, "failures": {}}
JOBS = {
    "open": 14,
    "replayed": 14,
    "failures": {"job-a": "[TMPRL1100]\n Nondeterminism", "job-b": "x"},
}
MANY = {"open": 900, "replayed": 204, "failures": {"job-a": "x" * 5000}}
SEMAPHORES = {"open": 3, "replayed": 3, "failures": {"semaphore-job": "no"}}


def said(found: object) -> Outcome:
    return Outcome(0, f"a warning of the SDK\n{json.dumps(found)}\n", "noise")


@dataclass
class Stack:
    """Answers for the programs that replay."""

    worker: Outcome = field(default_factory=lambda: said(GOOD))
    semaphore: Outcome = field(default_factory=lambda: said(GOOD))
    asked: list[str] = field(default_factory=list)
    ready: bool = False

    def prepare(self) -> None:
        self.ready = True

    def serve(self) -> None:
        self.asked.append("serve")

    def ask(self, service: Service, *program: str, timeout: float) -> Outcome:
        assert self.ready
        self.asked.extend(program)
        return {WORKER: self.worker, SEMAPHORE: self.semaphore}[service]


BOTH = {"services.worker.replay_open", "services.semaphore.replay_open"}


@pytest.fixture
def here(root: Path, settings: Load) -> Settings:
    (root / "shared").mkdir()
    (root / "shared/a.py").write_text("")
    return settings()


def test_what_replays_is_said_nothing_about(
    here: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Stack()
    replay.check(here, run, running=True)
    assert set(run.asked) == BOTH
    assert capsys.readouterr() == ("", "")


def test_the_code_that_runs_is_not_replayed_again(here: Settings, root: Path) -> None:
    replay.note(here)
    run = Stack()
    replay.check(here, run, running=True)
    assert run.asked == []
    (root / "shared/a.py").write_text("changed")
    replay.check(here, run, running=True)
    assert set(run.asked) == BOTH


def test_nothing_can_be_open_where_no_server_has_ever_run(here: Settings) -> None:
    run = Stack()
    replay.check(here, run, running=False)
    assert run.asked == []


def test_what_was_open_when_the_stack_went_down_is_replayed_too(here: Settings) -> None:
    (here.data_dir / "temporal").mkdir(parents=True)
    (here.data_dir / "temporal/temporal.db").write_text("")
    run = Stack()
    replay.check(here, run, running=False)
    assert run.asked[0] == "serve"
    assert set(run.asked[1:]) == BOTH


def test_a_server_elsewhere_is_asked_and_not_started(here: Settings, settings: Load) -> None:
    run = Stack()
    replay.check(settings(TEMPORAL_ADDRESS="t:1"), run, running=False)
    assert set(run.asked) == BOTH


def test_a_part_replays_what_it_runs(here: Settings, settings: Load) -> None:
    run, part = Stack(), settings(TEMPORAL_ADDRESS="t:1", ROLES="semaphore", STACK="ours")
    replay.check(part, run, running=True)
    assert run.asked == ["services.semaphore.replay_open"]


def test_a_server_that_is_away_is_told_and_holds_nothing_up(
    here: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    replay.check(here, Stack(worker=Outcome(UNREACHABLE, "", "away")), running=True)
    assert capsys.readouterr().out.splitlines() == [
        "Temporal does not answer: what is open there was not replayed"
    ]


@pytest.mark.parametrize(
    ("run", "told"),
    [
        (Stack(worker=said(JOBS)), ("2 of 14 open jobs (job-a: [TMPRL1100] Nondet", "jobs end")),
        (Stack(worker=said(MANY)), ("1 of the 204 replayed of 900 open jobs", "FORCE=1")),
        (
            Stack(semaphore=said(SEMAPHORES)),
            ("1 of 3 open semaphores (semaphore-job: no)", "rebuilt"),
        ),
        (
            Stack(worker=said(JOBS), semaphore=said(SEMAPHORES)),
            ("2 of 14 open jobs", "1 of 3 open semaphores", "jobs end", "rebuilt"),
        ),
        (Stack(worker=Outcome(1, "", "T\nImportError: no seat")), ("ImportError: no seat",)),
        (Stack(worker=Outcome(0, "", "")), ("exit status 0",)),
        (Stack(semaphore=Outcome(124, "", "did not answer within 300 s")), ("within 300 s",)),
    ],
)
def test_what_does_not_replay_is_refused_in_one_line(
    here: Settings, run: Stack, told: tuple[str, ...]
) -> None:
    with pytest.raises(StackError) as refused:
        replay.check(here, run, running=True)
    line = str(refused.value)
    for part in (*told, "nothing was replaced", "make up FORCE=1"):
        assert part in line
    assert "\n" not in line
    assert len(line) < 700
    assert refused.value.status == VERDICT
