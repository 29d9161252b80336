"""No build loses its last workers while open jobs stay with it, unless that is said."""

import json
from dataclasses import asdict, dataclass, field

import pytest

from compose.stack.errors import UNREACHABLE, VERDICT, StackError
from compose.stack.modes.stack import Unit
from compose.stack.preflight import builds
from compose.stack.preflight.builds import Build
from compose.stack.services import Service
from compose.stack.settings import saved
from compose.stack.settings.load import Settings
from compose.stack.subprocesses import Outcome
from tests.compose.stack.conftest import Load

OURS = [Unit("worker", f"worker-{number}", "healthy", ready=True, detail="") for number in (1, 2)]
SPREAD = {"ROLES": "worker", "TEMPORAL_ADDRESS": "127.0.0.1:1", "RELEASES": "pinned"}
OLD = "01d"


def said(*found: Build, missing: tuple[str, ...] = (), moved: int = 0) -> Outcome:
    told = {"missing": missing, "moved": moved, "builds": [asdict(each) for each in found]}
    return Outcome(0, f"noise\n{json.dumps(told)}\n", "")


def of_workers(build: str, *, jobs: int, processes: int, current: bool = False) -> Build:
    return Build("worker", build, current=current, open=jobs, processes=processes)


@dataclass
class Stack:
    """Gives these answers, one after the other, and the last one for good."""

    answers: list[Outcome]
    asked: list[tuple[str, ...]] = field(default_factory=list)

    def prepare(self) -> None:
        """All is there."""

    def serve(self) -> None:
        raise AssertionError("a server was started")

    def ask(self, service: Service, *program: str, timeout: float) -> Outcome:
        self.asked.append((service.name, *program))
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@pytest.fixture
def spread(settings: Load) -> Settings:
    """A machine that has run workers of an old build."""
    found = settings(**SPREAD)
    found.run_dir.mkdir(parents=True)
    saved.note_checked(found.run_dir, "build", OLD)
    return found


def test_the_last_workers_of_a_build_with_open_jobs_are_not_replaced(spread: Settings) -> None:
    run = Stack([said(of_workers(OLD, jobs=3, processes=2))])
    with pytest.raises(StackError) as refused:
        builds.check(spread, run, OURS)
    assert refused.value.status == VERDICT
    line = str(refused.value)
    assert line.startswith(f"3 open jobs stay with build {OLD}, whose last workers run here")
    for way_out in ("make down DRAIN=1", "FORCE=1", "make promote MOVE=1"):
        assert way_out in line
    assert run.asked == [("worker", "services.worker.promote")]


@pytest.mark.parametrize(
    "old", [of_workers(OLD, jobs=3, processes=3), of_workers(OLD, jobs=0, processes=2)]
)
def test_they_are_where_others_go_on_or_nothing_is_open(spread: Settings, old: Build) -> None:
    builds.check(spread, Stack([said(old)]), OURS)


def test_nobody_is_asked_where_no_build_is_left(spread: Settings, settings: Load) -> None:
    run = Stack([])
    builds.check(spread, run, [])
    builds.check(settings(**SPREAD | {"ROLES": ""}), run, OURS)
    builds.note(spread)
    builds.check(spread, run, OURS)
    builds.check(settings(), run, OURS)
    assert run.asked == []


def test_a_server_that_is_away_is_told_and_holds_nothing_up(
    spread: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    builds.check(spread, Stack([Outcome(UNREACHABLE, "", "away")]), OURS)
    assert capsys.readouterr().out == "Temporal does not answer: no build was asked for\n"


def test_what_can_not_be_asked_for_is_refused(spread: Settings) -> None:
    with pytest.raises(StackError, match=r"can't be asked for \(ImportError: no seat\)"):
        builds.check(spread, Stack([Outcome(1, "", "T\nImportError: no seat")]), OURS)
