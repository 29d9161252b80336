"""The make targets: what they refuse, with which status, and that nothing is started then."""

import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from compose.stack.given import SAVED, Saved
from compose.stack.machine import ports_of_a_stack
from shared.texts import COMMANDS
from tests.compose.made import made, project
from tests.fixtures.small_disk import NewDisk

ROOT = Path(__file__).resolve().parents[2]


def make(
    *words: str, data: Path, stdin: str | None = None, **environ: str
) -> subprocess.CompletedProcess[str]:
    """Run make as a user does; the data folder is one where no stack runs."""
    clean = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL")}
    return subprocess.run(
        ["make", *words],
        cwd=ROOT,
        env=clean | {"DATA_DIR": str(data), "MODE": "local", **environ},
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        text=True,
        check=False,
    )


def test_make_alone_prints_grouped_help(tmp_path: Path) -> None:
    done = make(data=tmp_path)
    assert done.returncode == 0
    for group in ("Run", "Prove", "Look", "Develop"):
        assert f"\n{group}\n" in done.stdout
    for target in ("up", "down", "test-N", "ladder", "mocks-off", "faults-clear", "doctor", "lock"):
        assert f"\n  {target} " in done.stdout
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize(("python", "group"), [("python3", "运行"), ("false", "Run")])
def test_chinese_shell_without_our_python_gets_english_help(
    tmp_path: Path, python: str, group: str
) -> None:
    done = make("help", data=tmp_path, LC_ALL="zh_CN.UTF-8", PYTHONUTF8="1", PYTHON=python)

    assert (done.returncode, done.stderr) == (0, "")
    assert f"\n{group}\n" in done.stdout
    if group == "运行":
        chinese = json.loads(COMMANDS.read_bytes())
        said = [line.split(maxsplit=1)[1] for line in done.stdout.splitlines() if line[:1] == " "]
        assert [text for text in said if text not in chinese.values()] == []


@pytest.mark.parametrize("target", ["test-$(echo 1)", "test-5'x"])
def test_wrong_number_is_one_line(tmp_path: Path, target: str) -> None:
    done = make(target, data=tmp_path)
    assert done.returncode == 2
    assert done.stderr.splitlines()[0].endswith(
        "N must be a whole number from 1 on, as in make test-20"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("target", ["test-5", "bench", "up"])
def test_a_misspelt_name_is_refused_before_anything_starts(tmp_path: Path, target: str) -> None:
    done = make(target, "WORKER=2", "LC_ALL=C.UTF-8", "seeds=1", data=tmp_path)
    assert done.returncode == 2
    said = "(make's command line) is not a setting, and no command's option"
    assert done.stderr.splitlines()[0] == f"wrong settings: WORKER {said}; seeds {said}"
    assert list(tmp_path.iterdir()) == []


def test_wrong_settings_do_not_prevent_make_down(tmp_path: Path) -> None:
    done = make("down", "WORKERS=x", data=tmp_path)
    assert (done.returncode, done.stdout) == (0, "nothing was running\n")
    assert done.stderr.startswith("wrong settings: WORKERS=x (environment) is not a whole number")


def test_processes_without_their_supervisor_are_named_and_ended(tmp_path: Path) -> None:
    mark = {"GENVIDEO_RUN_DIR": str(tmp_path / "run")}
    with subprocess.Popen(["sleep", "600"], env=os.environ | mark) as orphan:
        seen, done = make("ps", data=tmp_path), make("down", data=tmp_path)
        orphan.kill()
    said = "1 processes of an earlier supervisor"
    assert seen.stdout == f"{said} run on; make up replaces them\n"
    assert done.stdout == f"ended {said}\nstopped; data stays\n"
    assert orphan.returncode == -signal.SIGTERM


def test_switching_mocks_needs_a_running_stack(tmp_path: Path) -> None:
    done = make("mocks-on", data=tmp_path)
    assert done.returncode == 2
    assert "the stack is not running" in done.stderr
    assert "Error 3" in done.stderr


def test_clean_asks_and_removes_nothing_without_a_terminal(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    done = make("clean", data=tmp_path)
    assert done.returncode == 2
    assert "YES=1" in done.stderr
    assert (tmp_path / "state").is_dir()


def test_clean_removes_only_our_files(tmp_path: Path) -> None:
    (tmp_path / "state" / "jobs").mkdir(parents=True)
    (tmp_path / "mine").mkdir()
    done = make("clean", "YES=1", data=tmp_path)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_failed_base_image_ends_nothing_else(tmp_path: Path) -> None:
    """When mmdebstrap fails, it sends a hang-up to its process group."""
    for name, does in (("mmdebstrap", "kill -HUP 0"), ("docker", "exit 1")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{does}\n")
        (tmp_path / name).chmod(0o755)
    done = subprocess.run(
        ["sh", "-c", "compose/base-image.sh tag; echo went on with $?"],
        cwd=ROOT,
        env=os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
        start_new_session=True,
    )
    assert done.stdout.startswith("went on with 1")


@pytest.mark.parametrize("words", [("down",), ("clean", "YES=1"), ("logs",), ("up",)])
def test_stack_in_containers_is_kept_while_no_engine_answers(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    (tmp_path / "state").mkdir()
    Saved(mode="docker").write(tmp_path / "run")
    done = make(*words, data=tmp_path, MODE="auto", DOCKER_HOST=f"unix://{tmp_path}/none")
    assert "the stack runs in containers, but no Docker engine answers" in done.stderr
    assert "Error 3" in done.stderr
    assert (tmp_path / "state").is_dir()
    assert (tmp_path / "run" / SAVED).exists()


def test_failed_verdict_exits_with_1(tmp_path: Path) -> None:
    """`doctor` says 1 where something is wrong: here a port that is somebody else's."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        done = make("doctor", data=tmp_path, API_PORT=port)
    assert done.returncode == 1, done.stdout
    assert f"port {port}" in done.stdout
    assert "-> " in done.stdout


def test_a_dry_run_does_nothing(tmp_path: Path) -> None:
    done = make("-n", "up", data=tmp_path)
    assert (done.returncode, done.stdout) == (0, "compose/stack.sh up\n")


def test_start_without_disk_space_is_one_line(tmp_path: Path, small_disk: NewDisk) -> None:
    """A disk that has room, and not for our code."""
    disk = small_disk(tmp_path / "data")
    done = make("up", data=disk.folder, **{name: str(p) for name, p in ports_of_a_stack().items()})
    assert done.returncode == 2
    lines = [line for line in done.stderr.splitlines() if not line.startswith("make: ***")]
    assert len(lines) == 1, done.stderr
    assert "No space left on device" in lines[0]
    assert [*(disk.folder / "run" / "code").iterdir()] == []


@pytest.mark.parametrize(
    ("target", "status", "said"),
    [("ps", 2, "the stack is not running"), ("urls", 0, "http://127.0.0.1:8999")],
)
def test_status_commands_without_a_stack(
    tmp_path: Path, target: str, status: int, said: str
) -> None:
    done = make(target, data=tmp_path, TEMPORAL_UI_PORT="8999")
    assert done.returncode == status
    assert said in done.stdout


@pytest.mark.parametrize(
    ("shell", "call", "status"),
    [
        ("sh", "urls >&-", 0),
        ("bash", "faults 2>&-", 3),
        ("sh", "up <&- >&- 2>&-", 2),
        ("bash", "urls 2>&1 >/dev/full", 2),
    ],
)
def test_closed_output_gives_an_exit_status(
    tmp_path: Path, shell: str, *, call: str, status: int
) -> None:
    # What another stack on this machine says is no answer.
    ports = {name: str(port) for name, port in ports_of_a_stack().items()}
    environ = {**os.environ, "DATA_DIR": str(tmp_path), "MODE": "local", **ports}
    environ.pop("PYTHONUNBUFFERED", None)
    if call.startswith("up"):
        environ["API_PORT"] = "0"
    done = subprocess.run(
        ["sh", "-c", f"{shell} compose/stack.sh {call}"],
        cwd=ROOT, env=environ, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (status, "")
    assert "Traceback" not in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_help_with_a_closed_output_is_no_failure() -> None:
    call = ["sh", "-c", "make help >&-"]
    done = subprocess.run(call, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_missing_python_is_one_line(tmp_path: Path) -> None:
    old = tmp_path / "python3"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.9.2 && exit 0\nexit 1\n')
    old.chmod(0o755)
    done = make("up", data=tmp_path / "data", PYTHON=str(old))
    assert done.returncode == 2
    assert f"Python 3.11 or newer is needed ({old} is Python 3.9.2)" in done.stderr


def test_python_launcher_is_asked_once(tmp_path: Path) -> None:
    calls, name = tmp_path / "calls", tmp_path / "python3"
    name.write_text(f'#!/bin/sh\necho called >>"{calls}"\nexec "{sys.executable}" "$@"\n')
    name.chmod(0o755)
    done = make("urls", data=tmp_path / "data", PYTHON=str(name))
    assert (done.returncode, done.stderr) == (0, "")
    assert calls.read_text() == "called\n"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PYTHONSAFEPATH", "1"),
        ("PYTHONHOME", "/nowhere"),
        ("PYTHONPATH", "another"),
        ("CDPATH", "another"),
    ],
)
def test_another_projects_shell_disturbs_nothing(tmp_path: Path, name: str, value: str) -> None:
    (tmp_path / "another" / "compose").mkdir(parents=True)
    (tmp_path / "another" / "pydantic.py").write_text("raise SystemExit(1)")
    value = value.replace("another", str(tmp_path / "another"))
    done = make("urls", data=tmp_path / "data", **{name: value})
    assert (done.returncode, done.stderr) == (0, "")


def test_failed_download_of_packages_is_one_line(tmp_path: Path) -> None:
    for name in ("compose", "shared", "requirements"):
        shutil.copytree(ROOT / name, tmp_path / name)
    done = subprocess.run(
        [tmp_path / "compose" / "stack.sh", "urls"],
        env={"PATH": os.environ["PATH"], "PIP_NO_INDEX": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    [line] = done.stderr.splitlines()
    assert line.startswith("installing packages failed: ERROR: No matching distribution found for")
    assert line.endswith(f"(all of it: {tmp_path / '.venv' / 'install.log'})")
    assert done.returncode == 3
    # The next command tries again.
    assert not (tmp_path / ".venv" / "stamp").exists()


@pytest.mark.parametrize(
    "value",
    [
        "$(shell touch ran)",
        "${shell touch ran}",
        "$(eval X := $(shell touch ran))",
        "$$(touch ran) `touch ran`",
        "'; touch ran; '",
        "$HOME $$HOME $(HOME) ${HOME} $@ $",
        'it\'s "quoted" \\ # and % on',
        "two\nlines: touch ran\n\ttouch ran",
        "blanks behind  ",
        "$(error no) $(PROMPT)",
    ],
)
def test_values_arrive_unchanged_and_are_not_executed(tmp_path: Path, value: str) -> None:
    folder = project(tmp_path)
    words = f"PROMPT={shlex.quote(value)}"
    as_flags = "MAKEFLAGS=" + shlex.quote(" -- 'STYLE=$(shell touch ran)'")
    for line in (f"make try {words}", f"{words} make try", f"{as_flags} make {words} test-5"):
        [asked] = made(line, folder)
        assert asked.environ["PROMPT"] == value
    assert not (folder / "ran").exists()
