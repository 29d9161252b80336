"""`make try` says what a job takes, asks, and tells where its files are and what was charged."""

from typing import Any

import pytest

from compose.stack import modes
from compose.stack.commands import lifecycle, trial
from compose.stack.given import Saved
from compose.stack.output import UNREACHABLE, USAGE, VERDICT, StackError
from compose.stack.settings import Mode, Settings
from tests.compose.stack.conftest import Call, Fake, Listener, Load
from tests.compose.stack.test_checks import BAD, GOOD, MAYBE, REAL, vendors

Printed = pytest.CaptureFixture[str]
JOB = "job-0123456789abcdef01234567"
TIMES = [f"2026-11-26T12:00:0{second}Z" for second in range(6)]
CHANGES = [
    {"version": version, "at": TIMES[version], "status": "running" if step else "queued"}
    | {"step": step, "percent": percent, "attempt": 0, "note": note}
    for version, step, percent, note in (
        (1, None, 0, "queued"),
        (2, "image", 0, "the slot is ours"),
        (3, "image", 50, "half"),
        (4, "video", 100, "stored"),
    )
]


def record(changes: int, status: str = "running", **ended: Any) -> dict[str, Any]:
    """As the API tells it after so many changes; after all of them it has ended."""
    began = {"job_id": JOB, "created_at": TIMES[0], "attempts": {"image": 1, "video": 2}}
    end = {"finished_at": TIMES[5] if changes == 4 else None, "error": None, "asset_url": None}
    return began | end | {"status": status, "transitions": CHANGES[:changes]} | ended


SUCCEEDED = record(4, "succeeded")
FAILED = record(4, "failed", error={"code": "refused_for_good", "message": "HTTP 402: no money"})


class Api:
    """Takes a job, and gives its records one after the other; None is not there yet."""

    def __init__(self, listener: Listener) -> None:
        self.port = listener.server_port
        self.calls = listener.calls
        self.submitted: int | None = 202
        self.records = [None, record(1), record(3), SUCCEEDED]
        listener.answer = self.answer

    @property
    def orders(self) -> list[Call]:
        return [call for call in self.calls if call.method == "POST"]

    def answer(self, call: Call) -> tuple[int, object] | None:
        if call.method == "POST":
            told = {"job_id": JOB, "detail": "prompt: It is too long."}
            return (self.submitted, told) if self.submitted else None
        assert call.path == f"/jobs/{JOB}/record"
        found = self.records.pop(0) if len(self.records) > 1 else self.records[0]
        return (200, found) if found else (404, {"detail": "no record yet"})


@pytest.fixture
def api(listener: Listener) -> Api:
    return Api(listener)


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch) -> Fake:
    """What runs; nothing is started, and nobody waits between two looks."""
    run = vendors(GOOD)
    run.prepare()
    monkeypatch.setattr(lifecycle, "up", lambda settings: None)
    monkeypatch.setattr(modes, "chosen", lambda _: run)
    monkeypatch.setattr(trial, "POLL_SECONDS", 0)
    monkeypatch.setenv("NO_COLOR", "1")
    return run


@pytest.fixture
def given(api: Api, stack: Fake, settings: Load) -> Load:
    """Settings under which the stand-in is the API."""

    def load(**environ: str) -> Settings:
        found = settings(**environ, API_TOKEN="t" * 16)
        ports = dict(found.ports) | {"API_PORT": api.port}
        return found.model_copy(update={"ports": ports})

    return load


@pytest.fixture
def real(given: Load) -> Settings:
    return given(**REAL)


YES = {"YES": "1"}
NOBODY_SAYS = "  charged: no vendor reports it; look into its account\n"


def test_job_is_announced_followed_and_reported_with_its_files(
    api: Api, stack: Fake, real: Settings, capsys: Printed
) -> None:
    folder = real.data_dir / "assets" / JOB
    folder.mkdir(parents=True)
    for name in ("video.mp4", "image.png"):
        (folder / name).touch()
    assert trial.run(real, YES | {"PROMPT": "a cat", "STYLE": "oil"}) == 0
    assert stack.asked == [("services.worker.doctor", "--receiver")]
    order = {"prompt": "a cat", "style": "oil", "tag": "try"}
    assert api.orders == [("POST", "/jobs", order, f"Bearer {'t' * 16}")]
    assert capsys.readouterr().out.splitlines() == [
        "one job: a cat (oil)",
        "  image  a",
        "  video  b",
        f"  cost   one generation of each; {trial.AGAIN}",
        f"{JOB}: http://127.0.0.1:{api.port}/jobs/{JOB}",
        "     1.0 s  queued      0 %  queued",
        "     2.0 s  image       0 %  the slot is ours",
        "     3.0 s  image      50 %  half",
        "     4.0 s  video     100 %  stored",
        "succeeded after 5.0 s",
        f"  data/assets/{JOB}/image.png",
        f"  data/assets/{JOB}/video.mp4",
        "  accepted by the vendors: 1 image and 2 video",
        NOBODY_SAYS.rstrip(),
    ]


@pytest.mark.parametrize(
    ("record", "status", "lines"),
    [
        (
            SUCCEEDED | {"units": {"one": "3.5", "two": "10"}},
            0,
            {"  charged: 3.5 units for one", "  charged: 10 units for two"},
        ),
        (SUCCEEDED | {"asset_url": "https://us.example/v"}, 0, {"  https://us.example/v"}),
        (FAILED, VERDICT, {"failed after 5.0 s: HTTP 402: no money"}),
    ],
    ids=["charges of a vendor", "files elsewhere", "a failure"],
)
def test_end_of_the_job_is_reported(
    api: Api, real: Settings, capsys: Printed, record: Any, *, status: int, lines: set[str]
) -> None:
    api.records = [record]
    assert trial.run(real, YES) == status
    said = capsys.readouterr().out
    assert lines <= {*said.splitlines()}
    assert (NOBODY_SAYS in said) == ("units" not in record)


@pytest.mark.parametrize(("mock", "real"), [("image", "video"), ("video", "image")])
def test_with_one_mock_the_side_that_costs_is_named(
    api: Api, given: Load, mock: str, real: str, capsys: Printed
) -> None:
    assert trial.run(given(**REAL | {"MOCKS": mock}), YES) == 0
    said = capsys.readouterr().out
    assert f"  cost   one {real}, because the other vendor is a mock; {trial.AGAIN}\n" in said
    assert "accepted by the vendors: 1 image and 2 video\n" in said
    assert NOBODY_SAYS in said


@pytest.mark.parametrize("word", ["Yes", "", "n"])
def test_only_yes_confirms(
    api: Api, real: Settings, monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    answers = {"submit it? [y/N] ": word}
    monkeypatch.setattr("builtins.input", answers.pop)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    if word == "Yes":
        assert trial.run(real, {}) == 0
    else:
        with pytest.raises(StackError, match="nothing was submitted") as refused:
            trial.run(real, {})
        assert refused.value.status == USAGE
    assert answers == {}
    assert len(api.orders) == (word == "Yes")


@pytest.mark.parametrize("checks", ["on", "off"])
def test_wrong_vendor_is_refused_unless_checks_are_off(
    api: Api, stack: Fake, given: Load, checks: str, capsys: Printed
) -> None:
    stack.answers = vendors(MAYBE, BAD, status=VERDICT).answers
    found = given(**REAL, VENDOR_CHECKS=checks)
    if checks == "on":
        with pytest.raises(StackError, match="nobody answers: nothing was submitted"):
            trial.run(found, YES)
    else:
        assert trial.run(found, YES) == 0
    assert len(api.orders) == (checks == "off")
    assert capsys.readouterr().err == "callbacks: polling alone\n"


def test_running_stack_is_first_brought_up_to_date(
    stack: Fake, real: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where all is ready: what was announced would be made by workers that were told else."""
    brought_up: list[Settings] = []

    def up(settings: Settings) -> None:
        assert stack.asked == []
        Saved(mode=Mode.LOCAL).write(settings.run_dir)
        brought_up.append(settings)

    monkeypatch.setattr(lifecycle, "up", up)
    running = real.model_copy(update={"running": Mode.LOCAL})
    assert trial.run(running, YES) == 0
    assert brought_up == [running]


def test_submit_without_an_answer_may_have_started_the_job(api: Api, real: Settings) -> None:
    api.submitted = None
    with pytest.raises(StackError, match=r"may have been started: .*/jobs\?tag=try") as refused:
        trial.run(real, YES)
    assert refused.value.status == UNREACHABLE
    assert len(api.orders) == 1


def test_wait_for_a_lost_api_is_bounded(
    api: Api, real: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial, "PATIENCE", 0.05)
    api.records = [None]
    with pytest.raises(StackError, match=f"{JOB} may go on") as refused:
        trial.run(real, YES)
    assert refused.value.status == UNREACHABLE


def test_interrupt_leaves_the_job_and_prints_how_to_cancel_it(
    api: Api, real: Settings, monkeypatch: pytest.MonkeyPatch, capsys: Printed
) -> None:
    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("time.sleep", interrupted)
    with pytest.raises(KeyboardInterrupt):
        trial.run(real, YES)
    assert f"the job goes on; POST http://127.0.0.1:{api.port}/jobs/{JOB}/cancel" in (
        capsys.readouterr().err
    )
