"""A second stack in one namespace is refused before anything of it starts."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from compose.stack.errors import UNREACHABLE, USAGE, VERDICT, StackError
from compose.stack.preflight import other_stacks
from compose.stack.services import SEMAPHORE, Service
from compose.stack.settings import secrets
from compose.stack.settings.load import Settings
from compose.stack.subprocesses import Outcome
from tests.compose.stack.conftest import Load

ELSEWHERE = "temporal.example:7233"
UNREADABLE = "A payload is encrypted with the key x, and PAYLOAD_KEY holds: none."


def says(**found: str) -> Outcome:
    said = {"namespace": "shop"} | found
    return Outcome(0, f"a warning of the SDK\n{json.dumps(said)}\n", "noise")


@dataclass
class Stack:
    """Answers for the program that asks."""

    answer: Outcome = field(default_factory=lambda: says(stack=""))
    asked: list[str] = field(default_factory=list)
    ready: bool = False

    def prepare(self) -> None:
        self.ready = True

    def serve(self) -> None:
        self.asked.append("serve")

    def ask(self, service: Service, *program: str, timeout: float) -> Outcome:
        assert self.ready
        assert service is SEMAPHORE
        self.asked.extend(program)
        return self.answer


ASK = "services.semaphore.owner"


@pytest.fixture
def here(settings: Load) -> Settings:
    return settings(TEMPORAL_ADDRESS=ELSEWHERE, STACK="ours")


@pytest.mark.parametrize("name", ["", "ours"])
def test_nobodys_namespace_and_our_own_are_said_nothing_about(
    here: Settings, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Stack(says(stack=name))
    other_stacks.check(here, run, running=False)
    assert run.asked == [ASK]
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("force", [False, True])
def test_another_stacks_is_refused_in_one_line_whatever_is_forced(
    here: Settings, force: bool
) -> None:
    with pytest.raises(StackError) as refused:
        other_stacks.check(here, Stack(says(stack="theirs")), running=False, force=force)
    line = str(refused.value)
    for part in ("stack, theirs,", "shop", "nothing was started", "TEMPORAL_NAMESPACE=", "STACK=t"):
        assert part in line
    assert "\n" not in line
    assert refused.value.status == USAGE


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (says(unreadable=UNREADABLE), UNREADABLE),
        (Outcome(1, "", "T\nRPCError: Namespace shop is not found."), "shop is not found"),
        (Outcome(0, "", ""), "exit status 0"),
        (Outcome(124, "", "did not answer within 60 s"), "within 60 s"),
    ],
)
def test_where_it_can_not_be_told_only_force_goes_on(
    here: Settings, answer: Outcome, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(StackError, match="FORCE=1") as refused:
        other_stacks.check(here, Stack(answer), running=False)
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)
    assert refused.value.status == VERDICT
    other_stacks.check(here, Stack(answer), running=False, force=True)
    assert told in capsys.readouterr().out


def test_a_server_that_is_away_is_told_and_asked_the_next_time(
    here: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    other_stacks.check(here, Stack(Outcome(UNREACHABLE, "", "away")), running=False)
    assert capsys.readouterr().out.splitlines() == [
        "Temporal does not answer: whether another stack uses it was not asked"
    ]
    run = Stack()
    other_stacks.check(here, run, running=True)
    assert run.asked == [ASK]


def test_a_server_elsewhere_is_asked_at_every_start_but_not_while_we_run(here: Settings) -> None:
    for running, asked in ((False, [ASK]), (True, []), (False, [ASK])):
        run = Stack()
        other_stacks.check(here, run, running=running)
        assert run.asked == asked


@pytest.mark.parametrize(
    "change", [{"STACK": "other"}, {"TEMPORAL_NAMESPACE": "n"}, {"TEMPORAL_ADDRESS": "b:1"}]
)
def test_another_name_or_place_is_asked_for_also_while_we_run(
    here: Settings, settings: Load, change: dict[str, str]
) -> None:
    other_stacks.check(here, Stack(), running=False)
    run = Stack()
    other = settings(**{"TEMPORAL_ADDRESS": ELSEWHERE, "STACK": "ours"} | change)
    other_stacks.check(other, run, running=True)
    assert run.asked == [ASK]


def test_a_server_of_our_own_is_started_and_asked_once(settings: Load) -> None:
    found = settings()
    (found.data_dir / "temporal").mkdir(parents=True)
    (found.data_dir / "temporal/temporal.db").write_text("")
    for asked in (["serve", ASK], []):
        run = Stack()
        other_stacks.check(found, run, running=False)
        assert run.asked == asked
    renamed, run = settings(STACK="other"), Stack()
    other_stacks.check(renamed, run, running=False)
    assert run.asked == ["serve", ASK]


def test_nobody_can_be_where_no_server_has_ever_run(settings: Load) -> None:
    run = Stack()
    other_stacks.check(settings(), run, running=False)
    assert run.asked == []


def test_a_name_that_was_given_outlives_the_stack_where_it_was_let_in(
    settings: Load, root: Path
) -> None:
    first = secrets.stack_name(settings())
    named = settings(TEMPORAL_ADDRESS=ELSEWHERE, STACK="ours")
    with pytest.raises(StackError):
        other_stacks.check(named, Stack(says(stack="theirs")), running=False)
    assert secrets.stack_name(settings()) == first
    other_stacks.check(named, Stack(), running=False)
    assert secrets.stack_name(settings()) == "ours"
    assert (root / "data/secrets/stack").stat().st_mode & 0o777 == 0o600
