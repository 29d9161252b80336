"""Processes of the local mode, and their configuration for supervisor."""

import configparser
import json
import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from threading import Thread
from typing import Any
from xmlrpc.client import Fault
from xmlrpc.server import SimpleXMLRPCRequestHandler, SimpleXMLRPCServer

import pytest

from compose.stack.local import MARK, Local, end_marked, marked, socket_path
from compose.stack.output import StackError
from compose.stack.services import WORKER
from compose.stack.settings import Settings
from compose.stack.supervisor import SHUTDOWN_STATE
from tests.compose.stack.conftest import Load

HOME = Path("/copy")
ALL = {"temporal", "mock-comfyui", "mock-kling", "semaphore", "worker-1", "callback", "api"}
needs_proc = pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs /proc")


def digests(settings: Settings, home: Path = HOME) -> dict[str, str]:
    return {item.name: item.digest for item in Local(settings).programs(home)}


def test_program_runs_its_service_with_only_its_settings(settings: Load, tmp_path: Path) -> None:
    secret = "it's $HOME `x` 价\n100%" + "-" * 32
    found = settings(CALLBACK_SECRET=secret)
    item = next(each for each in Local(found).programs(HOME) if each.service is WORKER)
    *exports, command = item.script.rsplit("\n", 2)[:-1]
    assert command == f"exec {sys.executable} -P -m services.worker"
    show = "import json, os; print(json.dumps(dict(os.environ)))"
    script = tmp_path / "worker.sh"
    script.write_text("\n".join([*exports, f'exec {sys.executable} -c "{show}"']))
    done = subprocess.run(
        ["/bin/sh", str(script), item.digest],
        env={"HOME": "/here", "PATH": "/there"},
        capture_output=True,
        text=True,
        check=True,
    )
    env = json.loads(done.stdout)
    assert (env["HOME"], env["CALLBACK_SECRET"], env["NO_COLOR"]) == ("/here", secret, "1")
    assert (env["PYTHONPATH"], env[MARK]) == (str(HOME), str(found.run_dir))
    assert env["PATH"] == f"{Path(sys.executable).parent}:/there"
    assert "API_MAX_SOCKETS" not in env


def sections(settings: Settings) -> dict[str, dict[str, str]]:
    """Supervisor's configuration as it reads it."""
    stack, conf = Local(settings), configparser.RawConfigParser()
    conf.read_string(stack.supervisor_conf(stack.programs(HOME)))
    return {name: dict(conf[name]) for name in conf.sections()}


def test_only_services_with_a_changed_setting_restart(settings: Load) -> None:
    before = digests(settings())
    after = digests(settings(MOCKS="off", COMFYUI_URL="http://a", KLING_URL="http://b"))
    assert before.keys() - after.keys() == {"mock-comfyui", "mock-kling"}
    assert {name for name in after if before[name] != after[name]} == {"worker-1", "api"}


def test_another_terminal_restarts_nothing(settings: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    before = digests(settings())
    monkeypatch.setenv("PATH", "/its/own:/usr/bin:/bin")
    assert digests(settings()) == before


def test_another_worker_restarts_only_the_api(
    settings: Load,
) -> None:
    assert [*digests(settings(WORKERS="2"))] == [
        *("temporal", "mock-comfyui", "mock-kling", "semaphore"),
        *("worker-1", "worker-2", "callback", "api"),
    ]
    one, two = sections(settings(WORKERS="1")), sections(settings(WORKERS="2"))
    assert two.keys() - one.keys() == {"program:worker-2"}
    assert {name for name in one if one[name] != two[name]} == {"program:api"}


@pytest.mark.parametrize(
    ("changed", "again"),
    [
        ("shared/jobs/ids.py", ALL - {"temporal"}),
        ("services/mock_kling/app.py", ALL - {"temporal"}),
        ("compose/temporal.args", {"temporal"}),
        ("compose/ui_proxy.py", {"temporal"}),
        ("compose/stack/cli.py", set()),
        ("loadtest/cli.py", set()),
        ("shared/__pycache__/ids.pyc", set()),
    ],
)
def test_changed_code_restarts_its_service(
    root: Path, settings: Load, changed: str, again: set[str]
) -> None:
    stack = Local(settings())
    before = digests(stack.settings, stack.prepare())
    (root / changed).parent.mkdir(parents=True)
    (root / changed).write_text("changed")
    after = digests(stack.settings, stack.prepare())
    assert {name for name in before if before[name] != after[name]} == again


def test_supervisor_says_why_it_does_not_start(settings: Load, root: Path) -> None:
    refused = settings().model_copy(update={"data_dir": root / "%(x)s"})
    with pytest.raises(StackError, match="supervisord did not start: Error: Format string"):
        Local(refused).up()


@pytest.fixture
def code(root: Path) -> Path:
    for name in ("shared/a.py", "shared/deep/b.py", "services/worker/c.py"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    (root / "shared/__pycache__").mkdir()
    for name in ("a.cpython-313.pyc", "a.cpython-313.pyc.139872"):
        (root / "shared/__pycache__" / name).write_text("")
    return root


def test_running_copy_is_not_changed_by_an_edit(code: Path, settings: Load) -> None:
    stack = Local(settings())
    before = stack.prepare()
    assert {str(path.relative_to(before)) for path in before.rglob("*") if path.is_file()} == {
        *("shared/a.py", "shared/deep/b.py", "services/worker/c.py"),
        # Without what Python has not finished.
        "shared/__pycache__/a.cpython-313.pyc",
    }
    (before / "kept").touch()
    assert stack.prepare() == before
    assert (before / "kept").exists()
    (code / "shared/a.py").write_text("of the next release")
    after = stack.prepare()
    assert (before / "shared/a.py").read_text() == "shared/a.py"
    assert (after / "shared/a.py").read_text() == "of the next release"


def test_incomplete_copy_is_made_again(code: Path, settings: Load) -> None:
    stack = Local(settings())
    home = stack.prepare()
    half = home.rename(home.with_name(f"{home.name}.new"))
    (half / "shared/half.py").write_text("")
    assert stack.prepare() == home
    assert not half.exists()
    assert not (home / "shared/half.py").exists()


def test_code_changed_during_the_copy_is_not_mixed(
    code: Path, settings: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    copytree = shutil.copytree

    def late(source: Path, *how: Any, **more: Any) -> None:
        (code / "services/worker/c.py").write_text("of the next release")
        copytree(source, *how, **more)

    monkeypatch.setattr(shutil, "copytree", late)
    with pytest.raises(StackError, match="changed while it was copied"):
        Local(settings()).prepare()
    assert not [*(code / "data/run/code").glob("*")]


def test_long_socket_path_moves_to_a_private_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    assert socket_path(Path("/data/run")) == Path("/data/run/supervisor.sock")
    long = socket_path(tmp_path / ("x" * 100))
    assert len(str(long)) < 108
    assert long != socket_path(tmp_path / ("y" * 100))
    assert long.parent.parent == tmp_path
    assert stat.S_IMODE(long.parent.stat().st_mode) == 0o700


class Handler(SimpleXMLRPCRequestHandler):
    """Over a socket that knows nothing of TCP."""

    disable_nagle_algorithm = False


class Supervisor(SimpleXMLRPCServer):
    """One that ends: it says so to the first call, and is gone."""

    address_family = socket.AF_UNIX

    def __init__(self, local: Local) -> None:
        path = socket_path(local.settings.run_dir)
        path.parent.mkdir(parents=True)
        super().__init__(str(path), Handler, logRequests=False)  # type: ignore[arg-type]
        self.asked: list[str] = []

    def _dispatch(self, method: str, _: object) -> None:
        self.asked.append(method)
        raise Fault(SHUTDOWN_STATE, "SHUTDOWN_STATE")

    def ends(self) -> None:
        """Look into its socket, answer one call, and close."""
        while not self.asked:
            self.handle_request()
        self.server_close()


@pytest.mark.parametrize("ask", [Local.units, Local.down], ids=["asked", "told to end again"])
def test_ending_process_is_waited_for(settings: Load, ask: Callable[[Local], object]) -> None:
    local = Local(settings(MODE="local"))
    server = Supervisor(local)
    thread = Thread(target=server.ends, daemon=True)
    thread.start()

    assert not ask(local)

    thread.join()
    assert len(server.asked) == 1
    assert not local.alive()


@needs_proc
def test_only_marked_processes_are_ended(tmp_path: Path) -> None:
    assert end_marked(tmp_path) == 0
    code = "import time; print('up', flush=True); time.sleep(60)"
    marks = [{MARK: str(tmp_path)}, {MARK: str(tmp_path / "other")}, {}]
    with ExitStack() as running:
        sleepers = []
        for mark in marks:
            process = subprocess.Popen(
                [sys.executable, "-c", code], env=os.environ | mark, stdout=subprocess.PIPE
            )
            running.enter_context(process)
            running.callback(process.kill)
            assert process.stdout is not None
            process.stdout.readline()
            sleepers.append(process)
        ours, *others = sleepers
        assert marked(tmp_path) == [ours.pid]
        assert end_marked(tmp_path) == 1
        assert ours.wait(timeout=60) == -15
        assert [each.poll() for each in others] == [None, None]
