"""The stack as plain processes under supervisor; only what it started itself is ever stopped."""

import os
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from compose.stack import services, sources
from compose.stack.errors import UNREACHABLE, StackError
from compose.stack.modes import readiness
from compose.stack.modes.stack import SERVICE_FOLDERS, Unit
from compose.stack.output import say
from compose.stack.private import private_folder, write_private
from compose.stack.processes import checking, orphans, supervisor
from compose.stack.processes.launch import inherited
from compose.stack.processes.log import last_error
from compose.stack.processes.programs import (
    Program,
    as_json,
    copies_dir,
    module,
    program_of,
    programs,
    socket_path,
    supervisor_conf,
)
from compose.stack.services import TEMPORAL, Service
from compose.stack.settings import environment
from compose.stack.settings.load import Settings
from compose.stack.subprocesses import Outcome, capture, hand_over

PYTHON = Path(sys.executable)
STOP_PATIENCE = 60.0
SERVER_PATIENCE = 30.0
# Beyond what each service has for a look at its settings.
CHECK_SPARE = 10.0


@dataclass(frozen=True)
class Local:
    """One supervisor and its processes."""

    settings: Settings

    def up(self) -> None:
        """Start supervisor, or have the running one apply what differs from the settings."""
        items = self._programs()
        self._bring(items)
        sources.keep_only(copies_dir(self.settings), {item.home for item in items})

    def serve(self) -> None:
        """Start supervisor with the server alone, and wait for it; the others come by `up`."""
        self._bring([item for item in self._programs() if item.service is TEMPORAL])
        deadline = time.monotonic() + SERVER_PATIENCE
        while readiness.probe(self.settings, TEMPORAL.name) and time.monotonic() < deadline:
            time.sleep(0.1)

    def ask(self, service: Service, *program: str, timeout: float) -> Outcome:
        """Run a module, with its arguments, of the code that a service would be started from.

        After `prepare`.
        """
        item = program_of(self.settings, PYTHON, service)
        self._copy(item)
        command = module(PYTHON, *program)
        env = inherited(os.environ) | item.env
        return capture(command, env, timeout=timeout, cwd=self.settings.root, whole=True)

    def checked(self, services: Sequence[Service], *, seconds: int) -> list[Outcome]:
        """What each service says with `--check`; one process asks them all."""
        items = [program_of(self.settings, PYTHON, service) for service in services]
        for item in items:
            self._copy(item)
        env = inherited(os.environ)
        programs = [(item.service.module, item.home, env | item.env) for item in items]
        answer = capture(
            [str(PYTHON), "-P", checking.__file__],
            env,
            timeout=seconds + CHECK_SPARE,
            cwd=self.settings.root,
            whole=True,
            told=checking.request(programs, seconds=seconds),
        )
        if not answer.good:
            return [answer] * len(items)
        return [Outcome(status, "", said) for status, said in checking.outcomes(answer.out)]

    def _programs(self) -> list[Program]:
        return programs(self.settings, PYTHON)

    def _copy(self, item: Program) -> None:
        sources.copy(self.settings.root, item.home, item.made_of)

    def _bring(self, items: list[Program]) -> None:
        """Have exactly these run."""
        self._write(items)
        if self.alive():
            self._apply()
            return
        # It opens its log before it takes to its umask.
        (self.settings.log_dir / "supervisord.log").touch(mode=0o600)
        started = capture(
            [str(PYTHON.with_name("supervisord")), "--configuration", str(self._conf)],
            inherited(os.environ),
            cwd=self.settings.root,
            whole=True,
        )
        if not started.good:
            raise StackError(f"supervisord did not start: {started.last_line}", UNREACHABLE)

    def end_orphans(self) -> None:
        """A supervisor that was killed leaves its processes behind, and they hold our ports."""
        if not self.alive() and (left := orphans.end(self.settings.run_dir)):
            say(f"ended {left} processes that an earlier supervisor had left behind")

    def down(self) -> None:
        """Stop every process and the supervisor, the server last; data stays."""
        if self.alive():
            with suppress(supervisor.IsEnding):
                supervisor.call(self._socket, "supervisor.shutdown")
            self._wait_for_end()
        orphans.end(self.settings.run_dir)

    def units(self) -> list[Unit]:
        """Every process that supervisor knows; of one that ends none, once it has ended."""
        if not self.alive():
            return []
        try:
            rows = supervisor.call(self._socket, "supervisor.getAllProcessInfo")
        except supervisor.IsEnding:
            self._wait_for_end()
            return []
        return [self._unit(row["name"], row["statename"], row["description"]) for row in rows]

    def alive(self) -> bool:
        """Whether a supervisor of ours answers."""
        return supervisor.answers(self._socket)

    def logs(self, names: list[str], *, lines: int, follow: bool) -> int:
        """Print the last lines of services' log files, and what comes."""
        wanted = names or services.NAMES
        found = [
            str(
                path.relative_to(self.settings.root)
                if path.is_relative_to(self.settings.root)
                else path
            )
            for path in sorted(self.settings.log_dir.glob("*.log"))
            if _service_of(path.stem) in wanted
        ]
        if not found:
            raise StackError("no logs here: the stack is not running")
        extra = ["-F"] if follow else []
        return hand_over(["tail", "-n", str(lines), *extra, *found], cwd=self.settings.root)

    @property
    def python(self) -> str:
        """The interpreter of the environment."""
        return str(PYTHON)

    @property
    def reports(self) -> str:
        """The folder of the reports, as short as it can be: the load test prints it."""
        return os.path.relpath(self.settings.reports_dir, self.settings.root)

    def prepare(self) -> None:
        """Nothing: the environment is there."""

    def loadtest(self, arguments: list[str], env: dict[str, str]) -> int:
        """Run the load test in the foreground."""
        return self._outside("loadtest", arguments, env)

    def bench(self, arguments: list[str]) -> int:
        """Run a part of the benchmarks in the foreground; it is in the checkout alone."""
        return self._outside("tools.bench", arguments, {})

    def _outside(self, module: str, arguments: list[str], env: dict[str, str]) -> int:
        """Run what sees the stack from outside."""
        known = environment.local_loadtest(self.settings) | env
        return self._in_front([module, *arguments], known)

    def within(self, service: Service, module: str) -> int:
        """Run another program of a service's, with that service's settings."""
        return self._in_front([module], environment.local_service(self.settings, service.name))

    def _in_front(self, module: list[str], known: dict[str, str]) -> int:
        """Run a module with its arguments on the user's terminal."""
        env = inherited(os.environ) | known
        command = [self.python, "-m", *module]
        return hand_over(command, env, cwd=self.settings.root, whole=True)

    @property
    def _conf(self) -> Path:
        return self.settings.run_dir / "supervisord.conf"

    @property
    def _socket(self) -> Path:
        return socket_path(self.settings.run_dir)

    def _apply(self) -> None:
        """Have the running supervisor compare its processes with the files just written."""
        tool = str(PYTHON.with_name("supervisorctl"))
        answer = capture([tool, "-c", str(self._conf), "update"])
        if not answer.good:
            raise StackError(f"supervisorctl update: {answer.last_line}", UNREACHABLE)

    def _write(self, items: list[Program]) -> None:
        for folder in (*SERVICE_FOLDERS, "logs", "run"):
            private_folder(self.settings.data_dir / folder)
        self.settings.reports_dir.mkdir(parents=True, exist_ok=True)
        for item in items:
            self._copy(item)
        write_private(self.settings.run_dir / "programs.json", as_json(items))
        write_private(self._conf, supervisor_conf(self.settings, PYTHON, items=items))

    def _wait_for_end(self) -> None:
        deadline = time.monotonic() + STOP_PATIENCE
        while self.alive() or (self.settings.run_dir / "supervisord.pid").exists():
            if time.monotonic() > deadline:
                raise StackError(
                    f"the stack did not stop within {STOP_PATIENCE:.0f} s", UNREACHABLE
                )
            time.sleep(0.1)

    def _unit(self, name: str, state: str, detail: str) -> Unit:
        service = _service_of(name)
        up = state == "RUNNING"
        reason = (
            readiness.probe(self.settings, service, index=_index_of(name))
            if up
            else last_error(self.settings.log_dir / f"{name}.log")
        )
        shown = "healthy" if up and reason is None else "starting" if up else state.lower()
        return Unit(
            service=service,
            name=name,
            state=shown,
            ready=up and reason is None,
            detail="; ".join(filter(None, (detail, reason))),
        )


def _service_of(name: str) -> str:
    return "worker" if name.startswith("worker-") else name


def _index_of(name: str) -> int:
    return int(name.removeprefix("worker-")) - 1 if name.startswith("worker-") else 0
