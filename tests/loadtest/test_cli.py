"""The command line: every mistake at once, the right exit status, nothing started."""

import io
import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest

from loadtest.books import raw, seal
from loadtest.cli import main
from loadtest.run.plan import planned
from tests.loadtest.synthetic import Synthetic, job_id

# Interrupts the process when it begins to import the commands.
_INTERRUPTS = """
import os, signal, sys

class Interrupts:
    def find_spec(self, name, *_):
        if name == "loadtest.cli":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupts())
"""
# Gets the SIGTERM of its process group, that of `make test-N` as a SIGINT, and one more.
_HEEDS = """
import asyncio, os, signal
from loadtest.run.session import stop_on_interrupt

async def main():
    stop = asyncio.Event()
    stop_on_interrupt(stop)
    for number in (signal.SIGTERM, signal.SIGINT):
        os.kill(os.getpid(), number)
        await stop.wait()
        stop.clear()
    print("in good order", flush=True)
    os.kill(os.getpid(), signal.SIGINT)
    await stop.wait()

asyncio.run(main())
"""


@dataclass
class Result:
    exit_code: int
    stdout: str
    stderr: str


def invoke(arguments: list[str]) -> Result:
    """Run a command in this process."""
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        try:
            status = main(arguments)
        except SystemExit as end:
            status = int(str(end.code))
    return Result(status, out.getvalue(), err.getvalue())


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("API_URL", "CALLBACK_URL", "IMAGE_SERVICE_URL", "VIDEO_SERVICE_URL"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:9")
    monkeypatch.setenv("REPORTS_DIR", str(tmp_path / "reports"))


def test_all_mistakes_are_reported_at_once() -> None:
    wrong = {"--jobs": "zero", "--rate": "fast", "--threshold": "nonsense", "--timeout": "-1"}
    result = invoke(["run", *(word for pair in wrong.items() for word in pair)])

    assert result.exit_code == 2
    lines = {line.split(":")[0].split("/")[0]: line for line in result.stderr.splitlines()}
    assert lines.keys() == wrong.keys()
    assert all(text in lines[option] for option, text in wrong.items())


@pytest.mark.parametrize(("ci", "terminals"), [("", 2), ("true", 0)])
def test_output_in_ci_is_no_terminal(ci: str, terminals: int) -> None:
    program = "from loadtest.cli import *; exit(console.is_terminal + errors.is_terminal)"
    leader, follower = pty.openpty()
    try:
        done = subprocess.run(
            [sys.executable, "-c", program],
            stdin=follower, stdout=follower, stderr=follower,
            env={**os.environ, "CI": ci, "TERM": "xterm"}, check=False,
        )  # fmt: skip
    finally:
        os.close(leader)
        os.close(follower)
    assert done.returncode == terminals


@pytest.mark.parametrize(
    "command",
    [["run", "--jobs", "3"], ["run", "--stages", "ladder"]],
)
def test_wrong_options_are_reported_without_a_stack(command: list[str]) -> None:
    good = invoke([*command, "--check"])
    wrong = invoke([*command, "--check", "--seed", "x"])

    assert (good.exit_code, good.stdout, good.stderr) == (0, "", "")
    assert (wrong.exit_code, len(wrong.stderr.splitlines())) == (2, 1)


def test_run_interrupted_during_its_replay_has_its_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Synthetic(tmp_path / "reports").write().folder

    async def run_plan(*_: object, **__: object) -> tuple[raw.RunFolder, str]:
        return folder, "done"

    def replay(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("loadtest.cli.run_plan", run_plan)
    monkeypatch.setattr("loadtest.cli.replay", replay)
    result = invoke(["run", "--jobs", "1", "--replay-with", "a program"])

    assert result.exit_code == 130
    assert "PASS" in result.stdout
    assert (folder.path / "report.html").is_file()


def test_sigterm_of_the_process_group_is_one_interrupt() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _HEEDS], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.stdout, done.returncode) == ("in good order\n", -signal.SIGINT)


@pytest.mark.parametrize("opened", [os.pipe, pty.openpty], ids=["pipe", "terminal"])
def test_output_that_nobody_reads_changes_no_verdict(
    tmp_path: Path, opened: Callable[[], tuple[int, int]]
) -> None:
    run = Synthetic(tmp_path / "reports").write().folder.path
    reader, writer = opened()
    os.close(reader)
    command = [sys.executable, "-m", "loadtest", "report", str(run)]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)

    assert (done.returncode, done.stderr) == (0, b"")
    assert (run / "report.html").is_file()


def test_early_interrupt_ends_silently(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(_INTERRUPTS)
    done = subprocess.run(
        [sys.executable, "-m", "loadtest", "run", "--jobs", "1"],
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        check=False,
    )

    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, b"", b"")


def test_disk_that_takes_no_report_is_one_line(tmp_path: Path) -> None:
    run = Synthetic(tmp_path / "reports").write().folder.path
    command = ["prlimit", "--fsize=1024", sys.executable, "-m", "loadtest", "report", str(run)]
    done = subprocess.run(command, capture_output=True, check=False)

    assert (done.returncode, done.stderr) == (2, b"reports: File too large\n")


def test_reports_folder_that_is_a_file_is_one_line(tmp_path: Path) -> None:
    run = Synthetic(tmp_path / "reports").write().folder.path
    (run / "report.html").mkdir()
    result = invoke(["report", str(run)])

    assert result.exit_code == 2
    assert result.stderr.splitlines() == [f"{run / 'report.html'}: Is a directory"]


def test_wrong_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOCKS", "perhaps")
    result = invoke(["run", "--jobs", "1"])

    assert result.exit_code == 2
    assert "MOCKS" in result.stderr


def test_missing_stack_is_reported_and_nothing_is_written(tmp_path: Path) -> None:
    result = invoke(["run", "--jobs", "1"])

    assert result.exit_code == 3
    for name in ("api", "callback", "mock-comfyui", "mock-kling", "temporal"):
        assert f"not reachable: {name}" in result.stderr
    assert not (tmp_path / "reports").exists()


def test_report_is_drawn_again_from_raw_records(tmp_path: Path) -> None:
    folder = Synthetic(tmp_path / "reports").write().folder
    first = invoke(["report", str(folder.path)])
    drawn = {path.name: path.read_bytes() for path in folder.path.iterdir() if path.is_file()}
    again = invoke(["report", str(folder.path)])

    assert first.exit_code == again.exit_code == 0, first
    [root] = [line.removeprefix("seal: ") for line in first.stdout.splitlines() if "seal: " in line]
    assert root == seal.check(folder).root
    assert root.encode() in drawn["report.md"]
    assert len(drawn) == 7
    for name, content in drawn.items():
        assert (folder.path / name).read_bytes() == content
    assert json.loads(drawn["results.json"])["schema"] == 2


def test_verdict_is_one_line_however_long(tmp_path: Path) -> None:
    loose = planned("3", seed="7", thresholds=["success_rate>=0.9", "charged_twice<=9"])
    run = Synthetic(tmp_path / "reports", plan=loose).write().folder.path
    [verdict, *_] = invoke(["report", str(run)]).stdout.splitlines()

    assert verdict == json.loads((run / "results.json").read_bytes())["headline"]


def test_folder_without_raw_records_is_refused(tmp_path: Path) -> None:
    result = invoke(["report", str(tmp_path)])

    assert result.exit_code == 2
    assert "raw" in result.stderr


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", "\\xff", '{"plan": {}}', '{"plan": {"stages": 1, "thresholds": []}}'),
        '{"plan": {"stages": [1], "thresholds": []}, "stages": []}',
    ],
)
def test_damaged_run_is_one_line(tmp_path: Path, text: str) -> None:
    folder = Synthetic(tmp_path / "reports").write().folder
    (folder.raw / raw.RUN).write_text(text, "utf-8")
    result = invoke(["report", str(folder.path)])

    assert result.exit_code == 2
    [line] = result.stderr.splitlines()
    assert "run.json is damaged" in line


def test_torn_lines_are_counted_and_the_rest_is_judged(tmp_path: Path) -> None:
    folder = Synthetic(tmp_path / "reports").write().folder
    with (folder.raw / raw.SLOTS).open("a", encoding="utf-8") as out:
        out.write('[1]\n{"at": 17')
    history = min(folder.histories.iterdir())
    history.write_text(history.read_text("utf-8")[:-9], "utf-8")
    result = invoke(["report", str(folder.path)])

    assert result.exit_code == 2
    assert result.stderr.splitlines() == [
        f"damaged: {history}, 1 line(s)",
        f"damaged: {folder.raw / raw.SLOTS}, 2 line(s)",
    ]
    assert "damaged line(s)" in result.stdout
    assert (folder.path / "report.html").is_file()


@pytest.mark.parametrize(
    ("book", "part", "change", "said"),
    [
        (raw.STATES, "record", {"prompt": "another"}, "states.record.prompt: {}: "),
        (raw.JOBS, "job", {"status": "failed"}, "failed: {}"),
    ],
)
def test_failure_is_named_in_the_terminal_and_in_the_first_section(
    tmp_path: Path, book: str, part: str, *, change: dict[str, str], said: str
) -> None:
    run = Synthetic(tmp_path / "reports").write()
    run.change(book, 1, part, **change)
    result = invoke(["report", str(run.folder.path)])

    assert result.exit_code == 1
    assert said.format(job_id(0, 1)) in result.stdout
    first, _, _ = (run.folder.path / "report.md").read_text("utf-8").partition("## 2.")
    assert job_id(0, 1) in first


def test_mistake_is_reported_in_the_language_of_the_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    result = invoke(["run", "--jobs", "1", "--seed", "x"])

    assert result.exit_code == 2
    assert result.stderr.splitlines() == ["--seed: “x”不是整数"]
