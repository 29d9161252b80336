"""What is refused before anything starts or changes, in one line, and what is asked for it."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from compose.stack import checks, environment
from compose.stack.checks import Finding, Start
from compose.stack.output import UNREACHABLE, USAGE, VERDICT, StackError
from compose.stack.services import Unit
from compose.stack.settings import Settings
from compose.stack.subprocesses import Outcome
from tests.compose.stack.conftest import Call, Fake, Listener, Load

Probe = Callable[[Start], Iterator[Finding]]
Printed = pytest.CaptureFixture[str]
ELSEWHERE = {"TEMPORAL_ADDRESS": "temporal.example:7233", "STACK": "ours"}
REAL = {"MOCKS": "off", "COMFYUI_URL": "http://gpu:1", "KLING_URL": "https://kling.example"}
OURS = [Unit(name, name, "running", True, "") for name in ("api", "worker")]


def run(probe: Probe, settings: Settings, stack: Fake | None = None, **given: Any) -> None:
    """A check as `make up` carries it out; by default on a stack that runs."""
    how: dict[str, Any] = {"before": OURS, "containers": False, **given}
    start = Start(settings, stack or Fake(), **how)
    checks.refuse(probe(start), "nothing was started or changed")


def refused(
    probe: Probe, settings: Settings, stack: Fake | None = None, status: int = VERDICT, **how: Any
) -> str:
    with pytest.raises(StackError) as caught:
        run(probe, settings, stack, **how)
    line = str(caught.value)
    assert caught.value.status == status
    assert "\n" not in line
    assert "nothing was started or changed" in line
    return line


def printed(found: object) -> Outcome:
    return Outcome(0, f"a warning of the SDK\n{json.dumps(found)}\n", "noise")


def test_address_of_another_machine_is_told_from_a_taken_port(settings: Load) -> None:
    elsewhere = settings(BIND_ADDRESS="192.0.2.1", API_TOKEN="a-token-of-16-characters")
    line = refused(checks.ports, elsewhere, status=USAGE, before=[])
    assert "API_PORT can't be opened on 192.0.2.1: Cannot assign requested address" in line
    assert "API_PORT is in use" not in line


def a_database(settings: Settings) -> None:
    (settings.data_dir / "temporal").mkdir(parents=True)
    (settings.data_dir / "temporal/temporal.db").write_text("")


@pytest.fixture
def real(settings: Load) -> Settings:
    return settings(**REAL)


@pytest.fixture
def elsewhere(settings: Load) -> Settings:
    return settings(**ELSEWHERE)


PROGRAMS = (
    *("worker.replay_open", "worker.doctor"),
    *("semaphore.replay_open", "semaphore.namespace"),
)


@pytest.mark.parametrize(
    ("probe", "begin", "end"),
    [
        (checks.temporal, "Temporal: it can't be checked (", "changed"),
        (checks.vendors, "vendors: they can't be checked (", "VENDOR_CHECKS=off skips this check"),
        (checks.other_stacks, "other stacks: can't check whether", "`make up FORCE=1` overrides"),
        (checks.replayed, "this code can't replay what is open (", "`make up FORCE=1` overrides"),
    ],
)
@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (Outcome(1, "", "T\nImportError: no seat\n"), "(ImportError: no seat)"),
        (Outcome(0, "", ""), "(exit status 0)"),
        (Outcome(124, "", "did not answer within 60 s"), "within 60 s)"),
    ],
)
def test_failing_program_stops_the_start_with_its_last_line(
    settings: Load, probe: Probe, begin: str, end: str, *, answer: Outcome, why: str
) -> None:
    found = settings(**ELSEWHERE, **REAL)
    line = refused(probe, found, Fake(dict.fromkeys(PROGRAMS, answer)), before=[])
    assert line.startswith(begin)
    assert line.endswith(end)
    assert why in line


@pytest.mark.parametrize(
    ("probe", "said"),
    [
        (checks.temporal, ""),
        (checks.other_stacks, "not checked whether another stack uses it"),
        (checks.replayed, "what is open there was not replayed"),
    ],
)
def test_unreachable_server_delays_nothing_and_is_checked_next_time(
    elsewhere: Settings, probe: Probe, said: str, capsys: Printed
) -> None:
    for before in ([], OURS):
        stack = Fake(dict.fromkeys(PROGRAMS, Outcome(UNREACHABLE, "", "away")))
        run(probe, elsewhere, stack, before=before)
        assert stack.asked
        line = f"Temporal does not answer: {said}\n" if said else ""
        assert capsys.readouterr() == (line, "")


@pytest.mark.parametrize("probe", [checks.temporal, checks.other_stacks, checks.replayed])
def test_nothing_is_checked_before_the_first_server(settings: Load, probe: Probe) -> None:
    stack = Fake()
    run(probe, settings(), stack, before=[])
    assert stack.asked == []


def test_older_copy_of_the_database_is_refused_unless_its_server_is_prepared_alone(
    settings: Load, capsys: Printed
) -> None:
    here, alone = settings(), settings(ROLES="temporal")
    folder, copy = here.data_dir / "temporal", here.data_dir / "copy"
    a_database(here)
    run(checks.restored, here, before=[])
    shutil.copytree(folder, copy)

    def restore() -> None:
        shutil.rmtree(folder)
        shutil.copytree(copy, folder)

    # The copy was made while the server ran.
    checks.count_stop(here)
    restore()
    # Nothing had been started.
    checks.count_stop(here)
    line = refused(checks.restored, here, before=[])
    assert line.startswith("Temporal's database: it is a copy that was restored: ")
    assert "docs/recovery.md" in line
    refused(checks.restored, here, before=OURS)
    run(checks.restored, here, before=[Unit("temporal", "temporal", "running", True, "")])
    run(checks.restored, alone, before=[])
    run(checks.restored, here, before=[])
    checks.count_stop(here)
    shutil.rmtree(copy)
    shutil.copytree(folder, copy)
    run(checks.restored, here, before=[])
    restore()
    run(checks.restored, here, before=[], force=True)
    assert "a copy that was restored" in capsys.readouterr().err
    run(checks.restored, here, before=[])
    shutil.rmtree(folder)
    run(checks.restored, here, before=[])
    a_database(here)
    run(checks.restored, here, before=[])


def test_database_that_is_none_is_told_in_a_line(settings: Load) -> None:
    here = settings()
    a_database(here)
    (here.data_dir / "temporal/temporal.db").write_text("?" * 4096)

    line = refused(checks.restored, here, before=[])

    assert line.startswith("Temporal's database: it can't be used: file is not a database")


@pytest.fixture
def jobs(listener: Listener) -> dict[str, int]:
    """How many jobs the API at `port` says are working and waiting."""
    found = {"port": listener.server_port, "working": 1, "waiting": 2}

    def answer(call: Call) -> tuple[int, object]:
        if call.path == "/slots":
            return 200, {"waiting_count": found["waiting"]}
        assert call.path == "/jobs?status=running&limit=100"
        return 200, {"jobs": [{"job_id": "a"}] * found["working"]}

    listener.answer = answer
    return found


def test_open_jobs_are_reported_in_one_line_with_the_consequence(
    jobs: dict[str, int], settings: Load, capsys: Printed
) -> None:
    at = {"API_PORT": str(jobs["port"])}
    real, mocked = settings(**REAL, **at), settings(**at)
    checks.vendors_note(mocked).write()
    assert refused(checks.open_jobs, real) == (
        "open jobs: 3: their next generations would be real and paid, and what other vendors had"
        " accepted would count as lost: nothing was started or changed; let them end, or cancel"
        " them; FORCE=1 overrides"
    )
    run(checks.open_jobs, real, force=True)
    assert capsys.readouterr().err.startswith("open jobs: 3: ")
    checks.vendors_note(real).write()
    jobs["working"], jobs["waiting"] = 0, 1
    line = refused(checks.open_jobs, mocked)
    assert "open jobs: 1: their next generations would come from the mocks" in line
    jobs["waiting"] = 0
    run(checks.open_jobs, mocked)
    assert capsys.readouterr() == ("", "")


# Another address or API of a real vendor is another vendor, too.
VENDORS: list[dict[str, str]] = [
    {},
    REAL,
    REAL | {"MOCKS": "image"},
    REAL | {"MOCKS": "video"},
    REAL | {"KLING_URL": "https://kling.example:8443"},
    REAL | {"VIDEO_API": "kling"},
]


def test_open_jobs_keep_their_vendors(settings: Load) -> None:
    """Where nobody can say how many there are, there may be some."""
    for before in VENDORS:
        checks.vendors_note(settings(**before)).write()
        for now in VENDORS:
            found = settings(**now, API_PORT="1")
            if before == now:
                run(checks.open_jobs, found)
            else:
                line = refused(checks.open_jobs, found)
                assert "their number is not known: http://127.0.0.1:1/jobs" in line


def test_open_jobs_of_a_stopped_stack_keep_their_vendors(settings: Load) -> None:
    """Its server is started to be asked, if it has a database."""
    real, program = settings(**REAL), "worker.replay_open"
    checks.vendors_note(settings()).write()
    run(checks.open_jobs, real, before=[])
    a_database(real)
    for answer, says in (
        (printed({"open": 2, "replayed": 2, "failures": {}}), "open jobs: 2: their next"),
        (Outcome(UNREACHABLE, "", "no answer\n"), "their number is not known: no answer"),
    ):
        stack = Fake({program: answer})
        assert says in refused(checks.open_jobs, real, stack, before=[])
        assert ("serve",) in stack.asked
    none = printed({"open": 0, "replayed": 0, "failures": {}})
    run(checks.open_jobs, real, Fake({program: none}), before=[])


WHY = "A payload is encrypted with the key x, and PAYLOAD_KEY holds: none."


def owner(**found: object) -> Fake:
    findings = {"namespace": "shop", "there": True, "stack": "", "unreadable": ""}
    return Fake({"semaphore.namespace": printed(findings | found)})


ASK_OWNER = [("services.semaphore.namespace", "look")]


@pytest.mark.parametrize("name", ["", "ours"])
def test_free_namespace_and_our_own_pass_silently(
    elsewhere: Settings, name: str, capsys: Printed
) -> None:
    """A server elsewhere is asked at every start, but not while we run."""
    for before, asked in (([], ASK_OWNER), (OURS, []), ([], ASK_OWNER)):
        stack = owner(stack=name)
        run(checks.other_stacks, elsewhere, stack, before=before)
        assert stack.asked == asked
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("force", [False, True])
def test_namespace_of_another_stack_is_refused_even_with_force(
    elsewhere: Settings, force: bool
) -> None:
    stack = owner(stack="theirs")
    line = refused(checks.other_stacks, elsewhere, stack, status=USAGE, before=[], force=force)
    assert all(part in line for part in ("stack theirs", "shop", "TEMPORAL_NAMESPACE=", "STACK=t"))


@pytest.mark.parametrize(
    ("found", "fix"),
    [({"unreadable": WHY}, "FORCE=1"), ({"there": False, "wrong": WHY}, "`make namespace`")],
)
def test_unknown_owner_of_the_namespace_needs_force(
    elsewhere: Settings, capsys: Printed, found: dict[str, object], fix: str
) -> None:
    stack = owner(**found)
    # What was refused is asked again, also while we run.
    for before in ([], OURS):
        line = refused(checks.other_stacks, elsewhere, stack, before=before)
        assert WHY in line
        assert fix in line
    run(checks.other_stacks, elsewhere, stack, before=[], force=True)
    assert WHY in capsys.readouterr().err


@pytest.mark.parametrize(
    "change", [{"STACK": "other"}, {"TEMPORAL_NAMESPACE": "n"}, {"TEMPORAL_ADDRESS": "b:1"}]
)
def test_other_name_or_server_is_checked_while_the_stack_runs(
    elsewhere: Settings, settings: Load, change: dict[str, str]
) -> None:
    run(checks.other_stacks, elsewhere, owner(stack=""), before=[])
    stack = owner(stack="")
    run(checks.other_stacks, settings(**ELSEWHERE | change), stack)
    assert stack.asked == ASK_OWNER


def test_own_server_is_started_and_checked_once_for_each_name(settings: Load) -> None:
    a_database(settings())
    for given, asked in (
        ({}, [("serve",), *ASK_OWNER]),
        ({}, []),
        ({"STACK": "other"}, [("serve",), *ASK_OWNER]),
    ):
        stack = owner(stack="")
        run(checks.other_stacks, settings(**given), stack, before=[])
        assert stack.asked == asked


def test_given_name_outlives_the_stack(settings: Load, elsewhere: Settings, root: Path) -> None:
    first = environment.stack_name(settings())
    refused(checks.other_stacks, elsewhere, owner(stack="theirs"), status=USAGE, before=[])
    assert environment.stack_name(settings()) == first
    run(checks.other_stacks, elsewhere, owner(stack=""), before=[])
    assert environment.stack_name(settings()) == "ours"
    assert (root / "data/secrets/stack").stat().st_mode & 0o777 == 0o600


GOOD_REPLAY = {"open": 3, "replayed": 3, "failures": {}}
JOBS = {
    "open": 14,
    "replayed": 14,
    "failures": {"job-a": "[TMPRL1100]\n Nondeterminism", "job-b": "x"},
}
MANY = {"open": 900, "replayed": 204, "failures": {"job-a": "x" * 5000}}
SEMAPHORES = {"open": 3, "replayed": 3, "failures": {"semaphore-job": "no"}}
REPLAYS = {("services.worker.replay_open",), ("services.semaphore.replay_open",)}


def replays(worker: object = GOOD_REPLAY, semaphore: object = GOOD_REPLAY) -> Fake:
    said = {"worker.replay_open": worker, "semaphore.replay_open": semaphore}
    return Fake({program: printed(found) for program, found in said.items()})


@pytest.fixture
def here(root: Path, settings: Load) -> Settings:
    (root / "shared").mkdir()
    (root / "shared/a.py").write_text("")
    return settings()


def test_replayed_code_passes_silently_and_is_not_replayed_again(
    here: Settings, settings: Load, root: Path, capsys: Printed
) -> None:
    for code, asked in (("", REPLAYS), ("", set()), ("changed", REPLAYS)):
        (root / "shared/a.py").write_text(code)
        stack = replays()
        run(checks.replayed, here, stack)
        assert set(stack.asked) == asked
        checks.code_note(here).write()
    assert capsys.readouterr() == ("", "")
    # It has run at our own server only.
    stack = replays()
    run(checks.replayed, settings(TEMPORAL_ADDRESS="t:1", STACK="ours"), stack)
    assert set(stack.asked) == REPLAYS


def test_runs_open_at_make_down_are_replayed(here: Settings, settings: Load) -> None:
    a_database(here)
    stack = replays()
    run(checks.replayed, here, stack, before=[])
    assert stack.asked[0] == ("serve",)
    assert set(stack.asked[1:]) == REPLAYS
    # A server elsewhere is not ours to start, and a part replays what it runs.
    apart = settings(TEMPORAL_ADDRESS="t:1", ROLES="semaphore", STACK="ours")
    stack = replays()
    run(checks.replayed, apart, stack, before=[])
    assert stack.asked == [("services.semaphore.replay_open",)]


@pytest.mark.parametrize(
    ("stack", "told"),
    [
        (replays(JOBS), ("2 of 14 open jobs (job-a: [TMPRL1100] Nondet", "jobs end")),
        (replays(MANY), ("1 of the 204 replayed of 900 open jobs", "jobs end")),
        (
            replays(JOBS, SEMAPHORES),
            ("2 of 14 open jobs", "1 of 3 open semaphores (semaphore-job: no)", "rebuilds"),
        ),
    ],
)
def test_code_that_does_not_replay_is_refused(
    here: Settings, stack: Fake, told: tuple[str, ...]
) -> None:
    line = refused(checks.replayed, here, stack)
    assert all(part in line for part in (*told, "make up FORCE=1"))
    assert len(line) < 700
    stack.asked.clear()
    run(checks.replayed, here, stack, force=True)
    assert stack.asked == []


OFFERS = {"image": "a", "video": "b"}
GOOD, MAYBE, BAD = (
    {"check": "image service", "verdict": "ok", "says": "answers"},
    {"check": "callbacks", "verdict": "warning", "says": "polling alone"},
    {"check": "video service", "verdict": "wrong", "says": "nobody answers"},
)
ASK_DOCTOR = [("services.worker.doctor",)]


def vendors(*findings: dict[str, str], status: int = 0) -> Fake:
    last = json.dumps({"findings": findings, "offers": OFFERS})
    return Fake(
        {"worker.doctor": Outcome(status, f"ok image service: answers\n\n{last}\n", "noise")}
    )


def test_warning_about_a_vendor_does_not_stop_the_start(real: Settings, capsys: Printed) -> None:
    stack = vendors(GOOD, MAYBE)
    run(checks.vendors, real, stack, before=[])
    assert stack.asked == ASK_DOCTOR
    assert capsys.readouterr() == ("", "callbacks: polling alone\n")


def test_wrong_vendor_is_refused_with_the_ways_to_continue(settings: Load) -> None:
    """It is asked again the next time, and no secret is noted."""
    real = settings(**REAL, CALLBACK_SECRET="hunter2" * 5)
    twice = [BAD, MAYBE, BAD | {"check": "ComfyUI graph", "says": "it lacks a seed"}]
    for _ in range(2):
        assert refused(checks.vendors, real, vendors(*twice, status=VERDICT)) == (
            "video service: nobody answers; ComfyUI graph: it lacks a seed:"
            " nothing was started or changed; VENDOR_CHECKS=off skips this check"
        )
    run(checks.vendors, real, vendors(GOOD))
    assert "hunter2" not in (real.run_dir / "vendors").read_text()


@pytest.mark.parametrize(
    ("change", "asked"),
    [
        ({"VENDOR_CHECKS": "off"}, []),
        ({"MOCKS": "on"}, []),
        ({"MOCKS": "image"}, [(*ASK_DOCTOR[0], "--only", "video")]),
        ({"MOCKS": "video"}, [(*ASK_DOCTOR[0], "--only", "image")]),
    ],
)
def test_only_real_vendors_are_checked_before_the_start(
    settings: Load, change: dict[str, str], asked: list[tuple[str, ...]]
) -> None:
    stack = vendors(GOOD)
    run(checks.vendors, settings(**REAL | change), stack, before=[])
    assert stack.asked == asked


def test_vendors_are_checked_again_only_after_a_changed_setting(
    real: Settings, settings: Load
) -> None:
    more = settings(**REAL, WORKERS="3")
    moved = settings(**REAL | {"KLING_URL": "https://other.example"})
    for given, before, asked in (
        (real, OURS, True),
        (real, OURS, False),
        (more, OURS, False),
        (real, [], True),
        (moved, OURS, True),
        (moved, OURS, False),
    ):
        stack = vendors(GOOD)
        run(checks.vendors, given, stack, before=before)
        assert stack.asked == (ASK_DOCTOR if asked else [])
