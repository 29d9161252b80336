"""The stack as processes under a supervisor; it stops only what it started itself."""

import configparser
import hashlib
import io
import json
import os
import shlex
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compose.stack import readiness, supervisor
from compose.stack.environment import environment_of, inherited
from compose.stack.files import digest, own_folder, private_folder, write_private
from compose.stack.output import UNREACHABLE, StackError, reason_of, say
from compose.stack.readiness import SERVICE_FOLDERS, Unit
from compose.stack.services import LOADTEST, TEMPORAL, WORKER, Service
from compose.stack.settings import Settings
from compose.stack.subprocesses import Outcome, capture, hand_over

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
_TAIL_BYTES = 64 * 1024


@dataclass(frozen=True)
class Program:
    """A process: a script with its settings only, which becomes the program."""

    name: str
    service: Service
    script: str
    digest: str


@dataclass(frozen=True)
class Local:
    """One supervisor and its processes."""

    settings: Settings

    def up(self) -> None:
        """Start the supervisor, or have the running one apply the changed settings."""
        home = self._copy()
        self._bring(self.programs(home))
        for other in home.parent.glob("*"):
            if other != home:
                shutil.rmtree(other)

    def serve(self) -> None:
        """Start the supervisor with only the server, and wait for it; `up` starts the others."""
        self._bring([each for each in self.programs(self._copy()) if each.service is TEMPORAL])
        deadline = time.monotonic() + SERVER_PATIENCE
        while not all(unit.ready for unit in self.units()) and time.monotonic() < deadline:
            time.sleep(0.1)

    def prepare(self) -> None:
        """Copy the code that everything is run from, without the stack."""
        self._copy()

    def ask(self, service: Service, *program: str, timeout: float) -> Outcome:
        """Run a module, with its arguments, from the code that a service would be started from."""
        env = inherited(os.environ) | self._env(service, self._copy())
        command = [str(PYTHON), "-P", "-m", *program]
        return capture(command, env, timeout=timeout, cwd=self.settings.root, whole=True)

    def programs(self, home: Path) -> list[Program]:
        """Return every process of the settings, in the order of starting, run from `home`."""
        return [
            self._program(service, home, index=index)
            for service in self.settings.parts
            for index in range(self.settings.workers if service is WORKER else 1)
        ]

    def _program(self, service: Service, home: Path, *, index: int) -> Program:
        root = self.settings.root
        command, made_of = [str(PYTHON), "-P", "-m", service.module], ""
        if service is TEMPORAL:
            # It uses none of the services' code, so a change in that does not restart it.
            home, made_of = root, digest(root, SERVER)
            command = [str(root / "compose" / "temporal.sh")]
        env = self._env(service, home, index=index) | {MARK: str(self.settings.run_dir)}
        exports = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in env.items())
        script = f"{exports}exec {shlex.join(command)}\n"
        return Program(
            name=f"{service.name}-{index + 1}" if service is WORKER else service.name,
            service=service,
            script=script,
            digest=hashlib.sha256(f"{script}{made_of}".encode()).hexdigest()[:12],
        )

    def _env(self, service: Service, home: Path, *, index: int = 0) -> dict[str, str]:
        return environment_of(self.settings, service, index=index) | {
            "PATH": f"{PYTHON.parent}:{os.environ.get('PATH', os.defpath)}",
            "PYTHONPATH": str(home),
            # The SDK's own log lines would be coloured otherwise.
            "NO_COLOR": "1",
        }

    def _copy(self) -> Path:
        """Copy the services' code, into a folder named by its digest.

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
                    shutil.copytree(
                        root / name, draft / name, ignore=shutil.ignore_patterns("__pycache__")
                    )
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

    def _bring(self, items: list[Program]) -> None:
        """Run exactly these programs."""
        for folder in (*SERVICE_FOLDERS, "logs", "run"):
            private_folder(self.settings.data_dir / folder)
        self.settings.reports_dir.mkdir(parents=True, exist_ok=True)
        for item in items:
            write_private(self.settings.run_dir / f"{item.name}.sh", item.script)
        write_private(self._conf, self.supervisor_conf(items))
        if self.alive():
            supervisor.update(self._socket)
            return
        # It opens its log before it sets its umask.
        (self.settings.log_dir / "supervisord.log").touch(mode=0o600)
        command = [str(PYTHON.with_name("supervisord")), "--configuration", str(self._conf)]
        started = capture(command, inherited(os.environ), cwd=self.settings.root, whole=True)
        if not started.good:
            raise StackError(f"supervisord did not start: {started.last_line}", UNREACHABLE)

    @property
    def _conf(self) -> Path:
        return self.settings.run_dir / "supervisord.conf"

    def supervisor_conf(self, items: list[Program]) -> str:
        """Return supervisord's configuration for these processes; it holds no secret."""
        run, logs = self.settings.run_dir, self.settings.log_dir
        socket = socket_path(run)
        conf = configparser.RawConfigParser()
        conf["unix_http_server"] = {"file": str(socket), "chmod": "0700"}
        conf["supervisord"] = {
            "logfile": str(logs / "supervisord.log"),
            "pidfile": str(run / "supervisord.pid"),
            "childlogdir": str(logs),
            "directory": str(self.settings.root),
            "umask": "077",
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

    def end_orphans(self) -> None:
        """End the processes of a killed supervisor, because they hold our ports."""
        if not self.alive() and (left := end_marked(self.settings.run_dir)):
            say(f"ended {left} processes of an earlier supervisor")

    def down(self) -> None:
        """Stop every process and the supervisor, the server last; data stays."""
        if self.alive():
            with suppress(supervisor.IsEnding):
                supervisor.call(self._socket, "supervisor.shutdown")
            self._wait_for_end()
        end_marked(self.settings.run_dir)

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
        service, index = ("worker", int(number) - 1) if number else (service, 0)
        up = state == "RUNNING"
        reason = (
            # The supervisor makes each process the leader of a group.
            readiness.probe(self.settings, service, group=row["pid"], index=index)
            if up
            else last_error(self.settings.log_dir / f"{name}.log")
        )
        return Unit(
            service=service,
            name=name,
            state="healthy" if up and reason is None else "starting" if up else state.lower(),
            ready=up and reason is None,
            detail="; ".join(filter(None, (detail, reason))),
        )

    def alive(self) -> bool:
        """True if our supervisor answers."""
        return supervisor.answers(self._socket)

    @property
    def _socket(self) -> Path:
        return socket_path(self.settings.run_dir)

    def _wait_for_end(self) -> None:
        deadline = time.monotonic() + STOP_PATIENCE
        while self.alive() or (self.settings.run_dir / "supervisord.pid").exists():
            if time.monotonic() > deadline:
                raise StackError(
                    f"the stack did not stop within {STOP_PATIENCE:.0f} s", UNREACHABLE
                )
            time.sleep(0.1)

    def logs(self, names: list[str], *, lines: int, follow: bool) -> int:
        """Print the last lines of services' log files, and follow."""
        root, every = self.settings.root, [each.name for each in self.settings.every]
        wanted = names or every
        found = [
            str(path.relative_to(root) if path.is_relative_to(root) else path)
            for path in sorted(self.settings.log_dir.glob("*.log"))
            if path.stem in wanted or ("worker" in wanted and path.stem.startswith("worker-"))
        ]
        if not found:
            raise StackError("no logs here: the stack is not running")
        extra = ["-F"] if follow else []
        return hand_over(["tail", "-n", str(lines), *extra, *found], cwd=root)

    @property
    def python(self) -> str:
        """The interpreter of the load test."""
        return str(PYTHON)

    @property
    def reports(self) -> str:
        """The folder of the reports, as short as possible, because the load test prints it."""
        return os.path.relpath(self.settings.reports_dir, self.settings.root)

    def loadtest(self, arguments: list[str], env: dict[str, str]) -> int:
        """Run the load test in the foreground; it sees the stack from outside."""
        return self._in_front(
            ["loadtest", *arguments], environment_of(self.settings, LOADTEST) | env
        )

    def bench(self, arguments: list[str]) -> int:
        """Run a part of the benchmarks in the foreground, from the checkout."""
        return self._in_front(["tools.bench", *arguments], environment_of(self.settings, LOADTEST))

    def _in_front(self, module: list[str], known: dict[str, str]) -> int:
        env = inherited(os.environ) | known
        command = [str(PYTHON), "-m", *module]
        return hand_over(command, env, cwd=self.settings.root, whole=True)


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
        deadline = time.monotonic() + ORPHAN_PATIENCE
        while marked(run_dir) and time.monotonic() < deadline:
            time.sleep(0.1)
    return len(found)


def last_error(log: Path) -> str | None:
    """Return the last error line of a log, without its JSON; None if there is none.

    The state of an ended process does not have the reason.
    """
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return None
    return next(filter(None, map(_error, reversed(lines))), None)


def _error(line: str) -> str | None:
    """Return the error in this line: by a record's level, or by a word in other text."""
    words = ("error", "critical")
    try:
        record = json.loads(line)
        return str(record["event"]) if record["level"] in words else None
    except (ValueError, KeyError, TypeError):
        return line.strip() if any(word in line.lower() for word in words) else None
