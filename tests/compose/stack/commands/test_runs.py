"""What make was told becomes the load test's options, and the line of a report repeats the run."""

import re
from collections.abc import Callable, Mapping
from copy import copy
from pathlib import Path

import pytest

from compose.stack import modes
from compose.stack.commands import lifecycle, runs
from compose.stack.given import Saved
from compose.stack.output import USAGE, StackError
from compose.stack.settings import Mode, Settings, load
from loadtest.judge.judge import judge
from loadtest.report.write import write_report
from loadtest.run.plan import planned
from loadtest.run.session import command
from tests.compose.made import Made, made, project
from tests.compose.stack.conftest import Fake, Load
from tests.loadtest.synthetic import Synthetic

REPLAYED = ("--replay-with", "'a clone/py' -m services.worker.replay")


class Recorder(Fake):
    """Takes the place of the running stack; its verdict is `failed`."""

    def __init__(self) -> None:
        super().__init__()
        self.arguments: list[str] = []
        self.env: Mapping[str, str] = {}
        self.did: list[str] = []
        self.wrong = 0

    def prepared(self, settings: Settings) -> "Recorder":
        self.settings = settings
        return self

    def loadtest(
        self, arguments: list[str], env: Mapping[str, str] | None = None, module: str = ""
    ) -> int:
        self.arguments, self.env = arguments, env or {}
        checked = arguments[-1] == "--check"
        self.did.append("checked" if checked else "ran")
        return self.wrong if checked else 1


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    found = Recorder()

    monkeypatch.setattr(lifecycle, "up", lambda _: found.did.append("up"))
    monkeypatch.setattr(modes, "prepared", found.prepared)
    return found


def test_jobs_run_with_options(settings: Load, recorder: Recorder) -> None:
    environ = {
        "SEED": "7",
        "THRESHOLDS": "p95<60s lost==0",
        "PRESET": "slow-vendor",
        "RULE": '{"do": "x"}',
        "RATE": "2/s",
        "NO_COLOR": "1",
        "GIT_COMMIT": "abc",
    }
    assert runs.jobs(settings(), "020", environ) == 1
    assert recorder.arguments == [
        *("run", "--jobs", "20", "--seed", "7", "--threshold", "p95<60s lost==0"),
        *("--preset", "slow-vendor", "--fault", '{"do": "x"}', "--rate", "2/s", *REPLAYED),
    ]
    line = "make test-20 SEED=7 THRESHOLDS='p95<60s lost==0' PRESET=slow-vendor"
    line += """ RULE='{"do": "x"}' RATE=2/s"""
    assert recorder.env == {"NO_COLOR": "1", "GIT_COMMIT": "abc", "MAKE_LINE": line}
    # A running stack, too, gets the code and the settings of now.
    assert recorder.did == ["checked", "up", "ran"]


def test_wrong_options_start_and_change_nothing(settings: Load, recorder: Recorder) -> None:
    recorder.wrong = USAGE
    assert runs.ladder(settings(), {"SEED": "x"}) == USAGE
    assert recorder.did == ["checked"]
    assert recorder.arguments[-3:] == ["--seed", "x", "--check"]


def test_other_mode_than_the_running_one_is_refused(settings: Load) -> None:
    asked = settings(MODE="docker")
    Saved(mode=Mode.LOCAL).write(asked.run_dir)
    with pytest.raises(StackError, match=r"the stack runs with MODE=local; `make down` first"):
        runs.jobs(asked, "1", {})


def test_report_is_drawn_again_by_its_name(settings: Load, recorder: Recorder) -> None:
    for environ, name in (({}, "latest"), ({"RUN": "20261125-a9a4"}, "20261125-a9a4")):
        runs.report(settings(), environ)
        assert recorder.arguments == ["report", f"there/{name}"]
        assert recorder.env["NO_COLOR"] == "1", "the output of a test is no terminal"


@pytest.mark.parametrize("name", ["../x", "/y"])
def test_unknown_run_is_refused(settings: Load, recorder: Recorder, name: str) -> None:
    with pytest.raises(StackError, match=re.escape(f"RUN={name}")) as caught:
        runs.report(settings(), {"RUN": name})
    assert (caught.value.status, recorder.arguments) == (USAGE, [])


@pytest.mark.parametrize("number", ["abc", "0", "-3", "1.5", "", "٣", "9" * 5000])
def test_wrong_number_is_refused(settings: Load, recorder: Recorder, number: str) -> None:
    with pytest.raises(StackError, match="N must be a whole number") as caught:
        runs.jobs(settings(), number, {})
    assert (caught.value.status, recorder.arguments) == (USAGE, [])


RULE = '{"name": "it\'s $5 #1, 100%", "do": "x", "with": {"a": [1, 2]}, "match": "^job-\\\\d+$"}'
RUNS: dict[str, Callable[[Settings, list[str], Mapping[str, str]], int]] = {
    "jobs": lambda settings, words, env: runs.jobs(settings, words[0], env),
    "ladder": lambda settings, _, env: runs.ladder(settings, env),
}


Run = Callable[[Made], Recorder]


@pytest.fixture
def run(root: Path, recorder: Recorder) -> Run:
    """Carries out a command up to the load test, which is recorded."""

    def carry_out(asked: Made) -> Recorder:
        name, *words = asked.words
        RUNS[name](load(root, asked.environ), words, asked.environ)
        return copy(recorder)

    return carry_out


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return project(tmp_path_factory.mktemp("project"))


OF_ANY = {
    "SEED": "7",
    "THRESHOLDS": "p95<60s success_rate>=99%",
    "TIMEOUT": "600",
    "ON_VIDEO_FAILURE": "image",
    "PRESET": "everything-at-once",
    "RULE": RULE,
    "RESET": "1",
    "RATE": "2/s",
    "STALL": "9",
    "CONCURRENCY": "4",
}


@pytest.mark.parametrize(
    ("words", "environ", "target"),
    [
        (["jobs", "020"], OF_ANY, "test-20"),
        (["jobs", "1"], {}, "test-1"),
        (["ladder"], OF_ANY, "ladder"),
        (["jobs", "5"], {"WORKERS": "3", "MOCK_SPEED": "50", "GATES": "image,video"}, "test-5"),
    ],
)
def test_printed_command_repeats_the_run(
    run: Run, folder: Path, words: list[str], environ: Mapping[str, str], target: str
) -> None:
    first = run(Made(words, environ))
    assert first.env["MAKE_LINE"].startswith(f"make {target}")
    [again] = made(first.env["MAKE_LINE"], folder)
    assert {name: again.environ[name] for name in environ} == environ
    second = run(again)
    assert (second.arguments, second.env["MAKE_LINE"]) == (first.arguments, first.env["MAKE_LINE"])


def test_command_in_the_report_repeats_the_run_with_its_seed(
    run: Run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run(Made(["jobs", "3"], {"PRESET": "slow-vendor", "RULE": RULE}))
    monkeypatch.setenv("MAKE_LINE", first.env["MAKE_LINE"])
    synthetic = Synthetic(tmp_path, plan=planned("3", seed="4711"))
    synthetic.command = command(4711)
    written = synthetic.write().folder
    write_report(written, judge(written))
    report = (written.path / "report.md").read_text(encoding="utf-8")
    block = report.split("To repeat this run:")[1].split("```")[1].split("\n", 1)[1].strip()
    [again] = made(block, folder)
    assert again.environ["SEED"] == "4711"
    options = run(again).arguments
    assert options == [*first.arguments[:3], "--seed", "4711", *first.arguments[3:]]


def test_given_seed_is_printed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for given in ("make test-3 MOCK_SEED=1 SEED=7", "make test-3 MOCK_SEED=1"):
        monkeypatch.setenv("MAKE_LINE", given)
        assert command(7) == "make test-3 MOCK_SEED=1 SEED=7"


def test_direct_call_prints_its_own_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MAKE_LINE", raising=False)
    monkeypatch.setattr("sys.argv", ["x", "run", "--jobs", "3", "--threshold", "p95<60s"])
    monkeypatch.setattr("sys.executable", "/venv/bin/python")
    said = "/venv/bin/python -m loadtest run --jobs 3 --threshold 'p95<60s'"
    assert command(7) == f"{said} --seed 7"


def test_printed_command_has_no_secret_and_no_path(settings: Load, recorder: Recorder) -> None:
    secret, url = "A" * 43 + "=", "http://user:password@127.0.0.1:1"
    found = settings(
        **dict.fromkeys(("API_TOKEN", "CALLBACK_SECRET", "PAYLOAD_KEY"), secret),
        TEMPORAL_API_KEY=secret,
        TEMPORAL_ADDRESS="t:1",
        VENDOR_PROXY=url,
        **dict.fromkeys(("COMFYUI_URL", "KLING_URL", "CALLBACK_URL", "IMAGE_SERVICE_URL"), url),
        DATA_DIR="here",
        API_PORT="9000",
        WORKERS="2",
    )
    runs.ladder(found, {})
    assert recorder.env["MAKE_LINE"] == "make ladder WORKERS=2"
