"""What a kill cost, from the books; and that only a worker can be killed."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from services.mock_core.admin.plan_request import read_plan
from tests.bench.pipeline.moments import MOMENTS, late_file, slow
from tests.bench.pipeline.takeover import TakeOver, figures, service_after
from tests.bench.pipeline.victim import WORKER, NoWorker, kill, process_of


def row(accepted: float, finished: float) -> dict[str, float]:
    return {"accepted_at": accepted, "finished_at": finished}


def test_service_that_began_after_the_kill_is_not_part_of_it() -> None:
    rows = [row(90.0, 101.0), row(103.0, 103.5), row(104.0, 105.0)]

    assert service_after(100.0, rows) == 1.5


def test_the_table_has_each_moment_with_its_worst() -> None:
    trials = [TakeOver("closing", 1.0, 2.0), TakeOver("closing", 3.5, 4.0)]
    hop, step, job = figures(trials, 0.012)

    assert hop.values == (12.0,)
    assert (step.name, step.values, step.worst) == ("closing: next step", (1.0, 3.5), True)
    assert job.values == (2.0, 4.0)


@pytest.mark.parametrize("moment", MOMENTS, ids=lambda moment: moment.name)
def test_what_stretches_a_moment_is_a_rule_that_the_mocks_take(moment: object) -> None:
    _, rule = next(each for each in MOMENTS if each is moment).rule("a prompt", 0.7)

    assert read_plan({"rules": [rule]}).rules


def test_lengths_are_told_on_the_mocks_clock() -> None:
    assert slow(0.7)["with"]["extra"] == "70.0"
    assert late_file(0.7)["with"]["seconds"] == "70.0"


def test_the_process_is_in_the_identity() -> None:
    assert process_of("4711@machine") == 4711
    with pytest.raises(NoWorker, match="names no process"):
        process_of("worker-1@machine")


@pytest.fixture
def sleeper(request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[bytes]]:
    """Ready when it says so: just after its start the system may not know its command yet."""
    code = "import time; print(flush=True); time.sleep(60)"
    command = [sys.executable, "-c", code, *request.param]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


@pytest.mark.parametrize("sleeper", [[WORKER]], indirect=True)
def test_a_worker_is_killed(sleeper: subprocess.Popen[bytes]) -> None:
    assert kill(sleeper.pid) > 0
    assert sleeper.wait() == -9


@pytest.mark.parametrize("sleeper", [[]], indirect=True)
def test_nothing_else_is_killed(sleeper: subprocess.Popen[bytes]) -> None:
    with pytest.raises(NoWorker, match="is not one of"):
        kill(sleeper.pid)
    assert sleeper.poll() is None


def test_a_process_that_is_gone_is_told() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    with pytest.raises(NoWorker, match=f"process {process.pid} is not there"):
        kill(process.pid)
    assert os.getpid() != process.pid
