"""The local mode's processes and supervisor's configuration; derived, never edited."""

import configparser
import hashlib
import io
import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from compose.stack import sources
from compose.stack.private import own_folder
from compose.stack.services import TEMPORAL, WORKER, Service
from compose.stack.settings import environment
from compose.stack.settings.load import Settings

LAUNCH = "compose/stack/processes/launch.py"
# The longest path that fits into a Unix socket's address, with some room.
_SOCKET_PATH = 100
STOP_SECONDS = 15


@dataclass(frozen=True)
class Program:
    """One process: what to run, with which settings, under which name, from which copy.

    `home` is the copy's folder, `made_of` the files and folders of the source that lie in it.
    """

    name: str
    service: Service
    command: tuple[str, ...]
    env: dict[str, str]
    home: Path
    made_of: tuple[str, ...]

    @property
    def digest(self) -> str:
        """Changes with the command, a setting or the code, so that supervisor starts it again."""
        text = json.dumps([self.command, self.env, self.home.name], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def programs(settings: Settings, python: Path) -> list[Program]:
    """Every process that the settings ask for, in the order of starting."""
    return [
        program_of(settings, python, service, index=index)
        for service in settings.parts
        for index in range(settings.workers if service is WORKER else 1)
    ]


def program_of(settings: Settings, python: Path, service: Service, *, index: int = 0) -> Program:
    """A process of a service, whether or not it is to run here."""
    name = f"{service.name}-{index + 1}" if service is WORKER else service.name
    made_of = _made_of(service)
    home = copies_dir(settings) / sources.digest(settings.root, made_of)
    command = module(python, service.module)
    if service is TEMPORAL:
        command = (str(home / "compose" / "temporal.sh"),)
    env = environment.local_service(settings, service.name, index=index)
    env["PATH"] = f"{python.parent}:{os.environ.get('PATH', os.defpath)}"
    env["PYTHONPATH"] = str(home)
    # The SDK's own log lines are coloured otherwise, terminal or not.
    env["NO_COLOR"] = "1"
    return Program(name, service, command, env, home=home, made_of=made_of)


def copies_dir(settings: Settings) -> Path:
    """Where the copies of the source are that processes run from."""
    return settings.run_dir / "code"


def module(python: Path, *words: str) -> tuple[str, ...]:
    """The command of a module that is looked for in PYTHONPATH, and not where we are."""
    return (str(python), "-P", "-m", *words)


def _made_of(service: Service) -> tuple[str, ...]:
    """What a process is made of; a change in it starts the process again."""
    if service is TEMPORAL:
        run = (f"compose/{name}" for name in ("temporal.sh", "temporal.args", "ui_proxy.py"))
        return ("requirements/server.txt", *run, LAUNCH)
    kit = ("shared/__init__.py", "shared/errors.py", "shared/failures.py", "shared/http")
    base = (*kit, "services/mock_core") if service.mock else ("shared",)
    ours = ("services/__init__.py", service.module.replace(".", "/"))
    return ("requirements/local.txt", *base, *ours, LAUNCH)


def as_json(items: list[Program]) -> str:
    """What `launch` reads: settings of each process, secrets among them."""
    return json.dumps({p.name: {"command": p.command, "env": p.env} for p in items})


def socket_path(run_dir: Path) -> Path:
    """Supervisor's socket; where the run folder's path is too long, in a private one elsewhere."""
    path = run_dir / "supervisor.sock"
    if len(os.fsencode(path)) <= _SOCKET_PATH:
        return path
    digest = hashlib.sha256(os.fsencode(run_dir)).hexdigest()[:16]
    return own_folder(Path(tempfile.gettempdir()) / f"genvideo-{os.geteuid()}") / f"{digest}.sock"


def supervisor_conf(settings: Settings, python: Path, *, items: list[Program]) -> str:
    """supervisord's configuration for these processes."""
    run, logs = settings.run_dir, settings.log_dir
    socket = socket_path(run)
    conf = configparser.RawConfigParser()
    conf["unix_http_server"] = {"file": str(socket), "chmod": "0700"}
    conf["supervisord"] = {
        "logfile": str(logs / "supervisord.log"),
        "pidfile": str(run / "supervisord.pid"),
        "childlogdir": str(logs),
        "directory": str(settings.root),
        "umask": "077",
        **({"user": "root"} if os.geteuid() == 0 else {}),
    }
    conf["supervisorctl"] = {"serverurl": f"unix://{socket}"}
    conf["rpcinterface:supervisor"] = {
        "supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"
    }
    for rank, item in enumerate(items):
        conf[f"program:{item.name}"] = _section(settings, python, item=item, rank=rank)
    text = io.StringIO()
    conf.write(text)
    return text.getvalue().replace("%", "%%")


def _section(settings: Settings, python: Path, *, item: Program, rank: int) -> dict[str, str]:
    file = settings.run_dir / "programs.json"
    command = f'"{python}" -P "{item.home / LAUNCH}" "{file}" {item.name} {item.digest}'
    return {
        "command": command,
        "priority": str(rank + 1),
        "autorestart": "true",
        # For ever: a service that can't run yet is tried again until it can.
        "startretries": "1000000000",
        "startsecs": "1",
        "stopasgroup": "true",
        "killasgroup": "true",
        "stopwaitsecs": str(STOP_SECONDS),
        "redirect_stderr": "true",
        "stdout_logfile": str(settings.log_dir / f"{item.name}.log"),
        "stdout_logfile_maxbytes": "10MB",
        "stdout_logfile_backups": "3",
    }
