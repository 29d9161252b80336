"""The stack as processes under a supervisor; it stops only what it started itself."""

import configparser
import hashlib
import io
import os
import shlex
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from compose.stack import supervisor
from compose.stack.asking import why_not
from compose.stack.environment import environment_of, inherited
from compose.stack.files import own_folder, private_folder, write_private
from compose.stack.output import UNREACHABLE, StackError, reason_of, say
from compose.stack.services import FOLDERS, LOADTEST, TEMPORAL, UI_PORT, WORKER, Service, Unit
from compose.stack.settings import Mode, Settings
from compose.stack.subprocesses import Outcome, capture, hand_over
from shared.files import digest

PYTHON = Path(sys.executable)
STOP_PATIENCE = 60.0
SERVER_PATIENCE = 30.0
ORPHAN_PATIENCE = 10.0
STOP_SECONDS = 15
# In the environment of every process of the local mode: the run folder of its stack.
MARK = "GENVIDEO_RUN_DIR"
# The services' source; a change in it restarts them.
CODE = ("requirements/local.txt", "shared", "services", "examples")
SERVER = (
    "requirements/server.txt",
    *(f"compose/{name}" for name in ("temporal.sh", "temporal.args", "ui_proxy.py")),
)
# The longest path of a Unix socket, with some room.
_SOCKET_PATH = 100


@dataclass(frozen=True)
class Program:
    """A process: a script that sets only the settings of the program and then becomes it."""

    name: str
    service: Service
    script: str
    digest: str


@dataclass
class Local:
    """One supervisor and its processes; `python` and `reports` are paths as the load test sees
    them."""

    settings: Settings

    mode: ClassVar = Mode.LOCAL
    python: ClassVar = str(PYTHON)

    @property
    def reports(self) -> str:
        """The folder of the reports, as a short path, because the load test prints it."""
        return os.path.relpath(self.settings.reports_dir, self.settings.root)

    def up(self) -> None:
        """Start the supervisor, or make the running one apply the changed settings."""
        home = self.prepare()
        self._bring(self.programs(home))
        for other in home.parent.glob("*"):
            if other != home:
                shutil.rmtree(other)

    def serve(self) -> None:
        """Start the supervisor with only the server, and wait for it; `up` starts the others."""
        self._bring([each for each in self.programs(self.prepare()) if each.service is TEMPORAL])
        _until(lambda: all(unit.ready for unit in self.units()), SERVER_PATIENCE)

    def ask(self, service: Service, *program: str, timeout: float) -> Outcome:
        """Run a module, with its arguments, from the code that a service would be started from."""
        env = inherited(os.environ) | self._env(service, self.prepare())
        command = [self.python, "-P", "-m", *program]
        return capture(command, env, timeout=timeout, cwd=self.settings.root)

    def prepare(self) -> Path:
        """Copy the services' code, into a folder named by its digest, and return the folder.

        A dead process is restarted from its copy. Without a copy, a crash in the middle of a `git
        pull` would start half a release.
        """
        root = self.settings.root
        home = self.settings.run_dir / "code" / digest(root, CODE)
        if home.is_dir():
            return home
        draft = home.with_name(f"{home.name}.new")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        try:
            for name in CODE:
                if (root / name).is_dir():
                    # Bytecode comes along, because it spares each start a second; what Python is
                    # writing of it may be gone in the middle of the copy.
                    unfinished = shutil.ignore_patterns("*.pyc.*")
                    shutil.copytree(root / name, draft / name, ignore=unfinished)
                elif (root / name).is_file():
                    (draft / name).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy2(root / name, draft / name)
        except OSError as error:
            shutil.rmtree(draft, ignore_errors=True)
            raise StackError(
                f"{home.parent}: the code can't be copied: {reason_of(error)}"
            ) from error
        if digest(draft, CODE) != home.name:
            shutil.rmtree(draft)
            raise StackError("the code changed while it was copied; run the command again")
        return draft.rename(home)

    def programs(self, home: Path) -> list[Program]:
        """Return every process of the settings, in the order of starting, run from `home`."""
        found = []
        for service in self.settings.parts:
            place, command, made_of = home, [self.python, "-P", "-m", service.module], ""
            if service is TEMPORAL:
                # It uses none of the services' code, so a change in that does not restart it.
                place, made_of = self.settings.root, digest(self.settings.root, SERVER)
                command = [str(place / "compose" / "temporal.sh")]
            for index in range(self.settings.workers if service is WORKER else 1):
                env = self._env(service, place, index=index) | {MARK: str(self.settings.run_dir)}
                exports = (f"export {name}={shlex.quote(value)}\n" for name, value in env.items())
                # The supervisor's PATH, not the caller's: another terminal restarts nothing.
                path = f'export PATH={shlex.quote(str(PYTHON.parent))}:"$PATH"\n'
                script = f"{''.join(exports)}{path}exec {shlex.join(command)}\n"
                made = hashlib.sha256(f"{script}{made_of}".encode()).hexdigest()[:12]
                name = f"{service.name}-{index + 1}" if service is WORKER else service.name
                found.append(Program(name, service, script, made))
        return found

    def _env(self, service: Service, home: Path, *, index: int = 0) -> dict[str, str]:
        return environment_of(self.settings, service, index=index) | {
            "PYTHONPATH": str(home),
            # The SDK's own log lines would be coloured otherwise.
            "NO_COLOR": "1",
        }

    def _bring(self, items: list[Program]) -> None:
        run = self.settings.run_dir
        for folder in (*FOLDERS, "logs", "run"):
            private_folder(self.settings.data_dir / folder)
        self.settings.reports_dir.mkdir(parents=True, exist_ok=True)
        for item in items:
            write_private(run / f"{item.name}.sh", item.script)
        conf = run / "supervisord.conf"
        write_private(conf, self.supervisor_conf(items))
        if self.alive():
            supervisor.update(self._socket)
            return
        # It opens its log before it sets its umask.
        (self.settings.log_dir / "supervisord.log").touch(mode=0o600)
        # As a module: its script names the folder that it was installed in.
        command = [self.python, "-P", "-m", "supervisor.supervisord", "--configuration", str(conf)]
        started = capture(command, inherited(os.environ), cwd=self.settings.root)
        if not started.good:
            # Its last line says only how to get help.
            reason = replace(started, err=started.err.partition("\nFor ")[0]).last_line
            raise StackError(f"supervisord did not start: {reason}", UNREACHABLE)

    def supervisor_conf(self, items: list[Program]) -> str:
        """Return supervisord's configuration for these processes; it holds no secret."""
        run, logs = self.settings.run_dir, self.settings.log_dir
        conf = configparser.RawConfigParser()
        conf["unix_http_server"] = {"file": str(self._socket), "chmod": "0700"}
        conf["supervisord"] = {
            "logfile": str(logs / "supervisord.log"),
            "pidfile": str(run / "supervisord.pid"),
            "childlogdir": str(logs),
            "directory": str(self.settings.root),
            "umask": "077",
            # By default it refuses to start in a shell that may open fewer than 1024 files.
            "minfds": "1",
            **({"user": "root"} if os.geteuid() == 0 else {}),
        }
        conf["rpcinterface:supervisor"] = {
            "supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"
        }
        for item in items:
            conf[f"program:{item.name}"] = {
                # The digest makes the supervisor notice a change.
                "command": f'/bin/sh "{run / item.name}.sh" {item.digest}',
                # Per service, so that one more worker changes no other.
                "priority": str(self.settings.every.index(item.service) + 1),
                "autorestart": "true",
                # Without end: a service that can't run yet is retried until it can.
                "startretries": "1000000000",
                "startsecs": "1",
                "stopasgroup": "true",
                "killasgroup": "true",
                "stopwaitsecs": str(STOP_SECONDS),
                "redirect_stderr": "true",
                "stdout_logfile": str(logs / f"{item.name}.log"),
                "stdout_logfile_maxbytes": "10MB",
                "stdout_logfile_backups": "3",
            }
        text = io.StringIO()
        conf.write(text)
        return text.getvalue()

    def units(self) -> list[Unit]:
        """Return every process that the supervisor knows, with the exit of the ended ones."""
        if not self.alive():
            return []
        try:
            rows = supervisor.call(self._socket, "supervisor.getAllProcessInfo")
        except supervisor.IsEnding:
            self._wait_for_end()
            return []
        return [self._unit(row) for row in rows]

    def _unit(self, row: Mapping[str, Any]) -> Unit:
        name, state, detail = (row[each] for each in ("name", "statename", "description"))
        service, _, number = name.partition("worker-")
        service, index = (WORKER.name, int(number) - 1) if number else (service, 0)
        # It may serve before the supervisor takes it for started, which is after a second.
        up = state in ("STARTING", "RUNNING")
        reason = None
        if up and service == TEMPORAL.name:
            reason = why_not(f"{self.settings.url(UI_PORT)}/healthz", row["pid"])
        elif up:
            port = next(item.port for item in self.settings.every if item.name == service)
            host, number = self.settings.reach(port), self.settings.ports[port] + index
            # The process leads its group.
            reason = why_not(f"http://{host}:{number}/readyz", row["pid"])
        return Unit(
            service=service,
            name=name,
            state="healthy" if up and reason is None else "starting" if up else state.lower(),
            ready=up and reason is None,
            detail="; ".join(filter(None, (detail, reason))),
        )

    def end_orphans(self) -> int:
        """End the processes of a killed supervisor, because they hold our ports; return how many
        there were."""
        left = 0 if self.alive() else end_marked(self.settings.run_dir)
        if left:
            say(f"ended {left} processes of an earlier supervisor")
        return left

    def down(self) -> None:
        """Stop every process and the supervisor, the server last; data stays."""
        if self.alive():
            with suppress(supervisor.IsEnding):
                supervisor.call(self._socket, "supervisor.shutdown")
            self._wait_for_end()
        end_marked(self.settings.run_dir)

    def alive(self) -> bool:
        return supervisor.answers(self._socket)

    @property
    def _socket(self) -> Path:
        return socket_path(self.settings.run_dir)

    def _wait_for_end(self) -> None:
        pid = self.settings.run_dir / "supervisord.pid"
        if not _until(lambda: not (self.alive() or pid.exists()), STOP_PATIENCE):
            raise StackError(f"the stack did not stop within {STOP_PATIENCE:.0f} s", UNREACHABLE)

    def logs(self, names: list[str], *, lines: int, follow: bool) -> int:
        root, wanted = self.settings.root, names or [each.name for each in self.settings.every]
        found = [
            str(path.relative_to(root) if path.is_relative_to(root) else path)
            for path in sorted(self.settings.log_dir.glob("*.log"))
            if path.stem in wanted or ("worker" in wanted and path.stem.startswith("worker-"))
        ]
        if not found:
            raise StackError("no logs here: the stack is not running")
        extra = ["-F"] if follow else []
        return hand_over(["tail", "-n", str(lines), *extra, *found], cwd=root)

    def loadtest(
        self, arguments: list[str], env: Mapping[str, str] | None = None, module: str = "loadtest"
    ) -> int:
        """Run the load test, or a benchmark, in the foreground; it sees the stack from outside."""
        known = inherited(os.environ) | environment_of(self.settings, LOADTEST) | dict(env or {})
        command = [self.python, "-m", module, *arguments]
        return hand_over(command, known, cwd=self.settings.root)


def socket_path(run_dir: Path) -> Path:
    """Return the supervisor's socket; in a private folder if the run folder's path is too long."""
    path = run_dir / "supervisor.sock"
    if len(os.fsencode(path)) <= _SOCKET_PATH:
        return path
    name = hashlib.sha256(os.fsencode(run_dir)).hexdigest()[:16]
    return own_folder(Path(tempfile.gettempdir()) / f"genvideo-{os.geteuid()}") / f"{name}.sock"


def marked(run_dir: Path) -> list[int]:
    """Return the ids of the living processes of this stack (none without /proc)."""
    wanted, found = os.fsencode(f"{MARK}={run_dir}"), []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if wanted in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
    return found


def end_marked(run_dir: Path) -> int:
    """End them, with SIGTERM first, and return how many there were."""
    found = marked(run_dir)
    for signum in (signal.SIGTERM, signal.SIGKILL):
        for pid in marked(run_dir):
            with suppress(ProcessLookupError):
                os.kill(pid, signum)
        _until(lambda: not marked(run_dir), ORPHAN_PATIENCE)
    return len(found)


def _until(reached: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not reached():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True
