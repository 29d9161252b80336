"""What make was told becomes the load test's options."""

import re
from collections.abc import Callable, Mapping

import pytest

from compose.stack.commands import lifecycle, runs
from compose.stack.errors import USAGE, StackError
from compose.stack.modes import choice
from compose.stack.settings.load import Settings
from tests.compose.stack.conftest import Load

Command = Callable[[Settings, Mapping[str, str]], int]
REPLAYED = ("--replay-with", "'a clone/py' -m services.worker.replay")


class Recorder:
    """Takes the place of the running stack; its verdict is `failed`."""

    python = "a clone/py"
    reports = "there"

    def __init__(self) -> None:
        self.arguments: list[str] = []
        self.env: dict[str, str] = {}
        self.did: list[str] = []
        self.wrong = 0

    def loadtest(self, arguments: list[str], env: dict[str, str]) -> int:
        self.arguments, self.env = arguments, env
        checked = arguments[-1] == "--check"
        self.did.append("checked" if checked else "ran")
        return self.wrong if checked else 1


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    found = Recorder()

    def renewed(settings: Settings) -> Settings:
        found.did.append("up")
        return settings

    monkeypatch.setattr(lifecycle, "is_as_asked", lambda _: True)
    monkeypatch.setattr(lifecycle, "renewed", renewed)
    monkeypatch.setattr(choice, "chosen", lambda _: found)
    monkeypatch.setattr(choice, "prepared", lambda _: found)
    return found


def test_jobs_with_options(settings: Load, recorder: Recorder) -> None:
    environ = {
        "SEED": "7",
        "THRESHOLDS": "p95<60s lost==0",
        "RATE": "2/s",
        "NO_COLOR": "1",
        "GIT_COMMIT": "abc",
    }
    assert runs.jobs(settings(), "020", environ) == 1
    assert recorder.arguments == [
        *("run", "--jobs", "20", "--seed", "7", "--threshold", "p95<60s lost==0", "--rate", "2/s"),
        *REPLAYED,
    ]
    line = "make test-20 SEED=7 THRESHOLDS='p95<60s lost==0' RATE=2/s"
    assert recorder.env == {"NO_COLOR": "1", "GIT_COMMIT": "abc", "MAKE_LINE": line}


def test_what_runs_as_it_is_asked_to_is_left_as_it_is(settings: Load, recorder: Recorder) -> None:
    runs.ladder(settings(), {})
    assert recorder.did == ["ran"]


@pytest.mark.parametrize("command", [runs.ladder, runs.bench_peers])
def test_nothing_is_started_or_changed_for_options_that_are_wrong(
    settings: Load, recorder: Recorder, monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    monkeypatch.setattr(lifecycle, "is_as_asked", lambda _: False)
    assert command(settings(), {"SEED": "7"}) == 1
    recorder.wrong = USAGE
    assert command(settings(), {"SEED": "x"}) == USAGE
    assert recorder.did == ["checked", "up", "ran", "checked"]
    assert recorder.arguments[-3:] == ["--seed", "x", "--check"]


def test_the_ladder_knows_no_rate(settings: Load, recorder: Recorder) -> None:
    runs.ladder(settings(), {"SEED": "7", "RATE": "2/s", "RESET": "1"})
    assert recorder.arguments == ["run", "--stages", "ladder", "--seed", "7", "--reset", *REPLAYED]


def test_both_builds(settings: Load, recorder: Recorder) -> None:
    runs.bench_peers(settings(), {"JOBS": "12", "RESET": "1"})
    assert recorder.arguments == ["bench-peers", "--jobs", "12", *REPLAYED]


def test_a_run_is_drawn_again_by_its_name(settings: Load, recorder: Recorder) -> None:
    runs.report(settings(), {})
    assert recorder.arguments == ["report", "there/latest"]
    runs.report(settings(), {"RUN": "20261125-a9a4"})
    assert recorder.arguments == ["report", "there/20261125-a9a4"]


@pytest.mark.parametrize("name", ["../x", "/y"])
def test_what_is_no_run_is_refused(settings: Load, recorder: Recorder, name: str) -> None:
    with pytest.raises(StackError, match=re.escape(f"RUN={name}")) as caught:
        runs.report(settings(), {"RUN": name})
    assert (caught.value.status, recorder.arguments) == (USAGE, [])


@pytest.mark.parametrize("number", ["abc", "0", "-3", "1.5", "", "٣", "9" * 5000])
def test_a_number_that_is_none(settings: Load, recorder: Recorder, number: str) -> None:
    with pytest.raises(StackError, match="N must be a whole number") as caught:
        runs.jobs(settings(), number, {})
    assert caught.value.status == USAGE
    assert recorder.arguments == []


def test_faults_of_one_run(settings: Load, recorder: Recorder) -> None:
    runs.jobs(settings(), "1", {"PRESET": "slow-vendor", "RULE": '{"do": "x"}'})
    assert recorder.arguments[3:-2] == ["--preset", "slow-vendor", "--fault", '{"do": "x"}']
