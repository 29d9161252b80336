"""What is wrong with a real vendor is one line, before anything is started or submitted."""

import json
from dataclasses import dataclass, field

import pytest

from compose.stack.errors import VERDICT, StackError
from compose.stack.preflight import vendors
from compose.stack.services import WORKER, Service
from compose.stack.settings.load import Settings
from compose.stack.subprocesses import Outcome
from tests.compose.stack.conftest import Load

REAL = {"MOCKS": "off", "COMFYUI_URL": "http://gpu:1", "KLING_URL": "https://kling.example"}
OFFERS = {"image": "a", "video": "b"}
GOOD, MAYBE, BAD = (
    {"check": "image service", "verdict": "ok", "says": "answers"},
    {"check": "callbacks", "verdict": "warning", "says": "polling alone"},
    {"check": "video service", "verdict": "wrong", "says": "nobody answers"},
)


def found(*findings: dict[str, str], status: int = 0) -> Outcome:
    last = json.dumps({"findings": findings, "offers": OFFERS})
    return Outcome(status, f"ok image service: answers\n\n{last}\n", "noise")


@dataclass
class Stack:
    """Answers for the worker's doctor."""

    answer: Outcome = field(default_factory=lambda: found(GOOD))
    asked: list[tuple[str, ...]] = field(default_factory=list)
    ready: bool = False

    def prepare(self) -> None:
        self.ready = True

    def serve(self) -> None:
        raise AssertionError("a server was started")

    def ask(self, service: Service, *program: str, timeout: float) -> Outcome:
        assert self.ready
        assert service is WORKER
        self.asked.append(program)
        return self.answer


ASKED = [("services.worker.doctor",)]


@pytest.fixture
def real(settings: Load) -> Settings:
    return settings(**REAL)


def test_where_all_is_well_nothing_is_said(
    real: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Stack()
    assert vendors.check(real, run, running=False)
    assert run.asked == ASKED
    assert capsys.readouterr() == ("", "")


def test_what_is_wrong_is_refused_in_one_line_with_the_way_to_go_on(real: Settings) -> None:
    twice = [BAD, MAYBE, BAD | {"check": "ComfyUI graph", "says": "it lacks a seed"}]
    with pytest.raises(StackError) as refused:
        vendors.check(real, Stack(found(*twice, status=VERDICT)), running=False)
    assert refused.value.status == VERDICT
    assert str(refused.value) == (
        "video service: nobody answers; ComfyUI graph: it lacks a seed."
        " So nothing was started or changed; VENDOR_CHECKS=off goes on all the same"
    )


def test_a_warning_is_told_and_goes_on(real: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert vendors.check(real, Stack(found(GOOD, MAYBE)), running=False)
    assert capsys.readouterr() == ("", "callbacks: polling alone\n")


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (Outcome(2, "", "wrong settings: COMFYUI_WORKFLOW: no file"), "COMFYUI_WORKFLOW: no file"),
        (Outcome(1, "", "T\nImportError: no seat\n"), "ImportError: no seat"),
        (Outcome(124, "", "did not answer within 120 s"), "within 120 s"),
        (Outcome(0, "", ""), "exit status 0"),
    ],
)
def test_that_nothing_can_be_found_is_wrong(real: Settings, answer: Outcome, why: str) -> None:
    with pytest.raises(StackError, match=r"^vendors: they can't be looked at \(.*goes on") as it:
        vendors.check(real, Stack(answer), running=False)
    assert why in str(it.value)


@pytest.mark.parametrize("change", [{"VENDOR_CHECKS": "off"}, {"MOCKS": "on"}])
def test_mocks_are_not_asked_nor_where_that_is_switched_off(
    settings: Load, change: dict[str, str]
) -> None:
    run = Stack(found(BAD, status=VERDICT))
    assert not vendors.check(settings(**REAL | change), run, running=False)
    assert run.asked == []


def test_while_the_stack_runs_they_are_asked_where_a_worker_is_told_something_else(
    real: Settings, settings: Load
) -> None:
    more = settings(**REAL, WORKERS="3")
    moved = settings(**REAL | {"KLING_URL": "https://other.example"})
    for given, running, asked in (
        (real, True, True),
        (real, True, False),
        (more, True, False),
        (real, False, True),
        (moved, True, True),
        (moved, True, False),
    ):
        run = Stack()
        assert vendors.check(given, run, running=running) is asked
        assert run.asked == (ASKED if asked else [])


def test_what_was_refused_is_asked_again(real: Settings) -> None:
    for _ in range(2):
        with pytest.raises(StackError):
            vendors.check(real, Stack(found(BAD, status=VERDICT)), running=True)


@pytest.mark.parametrize("verdict", ["wrong", "warning"])
def test_that_no_callback_can_arrive_is_told_once_the_receiver_runs(
    verdict: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    lost = {"check": "receiver", "verdict": verdict, "says": "it can't be reached"}
    run = Stack(found(BAD, MAYBE, lost, status=VERDICT), ready=True)
    vendors.tell_of_callbacks(run)
    assert run.asked == [("services.worker.doctor", "--receiver")]
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("receiver: it can't be reached; until then polling")


def test_no_secret_is_noted(settings: Load) -> None:
    given = settings(**REAL, CALLBACK_SECRET="hunter2" * 5)
    vendors.check(given, Stack(), running=False)
    assert "hunter2" not in (given.run_dir / "vendors").read_text()
