"""What a peer keeps its jobs in, as a process of its own on free ports; its data goes with it."""

import contextlib
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.fixtures.processes import free_port

READY_SECONDS = 300
PR_SET_CHILD_SUBREAPER = 36
PREFECT_UNUSED = (
    *("SCHEDULER", "LATE_RUNS", "CANCELLATION_CLEANUP", "PAUSE_EXPIRATIONS"),
    *("FOREMAN", "TRIGGERS"),
)
Environment = dict[str, str]


def bare(home: Path) -> Environment:
    """None of our settings, so that what a peer does by default is what is measured."""
    return {"PATH": os.environ["PATH"], "HOME": str(home), "PYTHONUNBUFFERED": "1"}


@contextlib.contextmanager
def process(
    command: list[str], environment: Environment, log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """A command in a group of its own, which is killed at the end with all that it started."""
    with log.open("ab") as output:
        it = subprocess.Popen(
            command,
            env=environment,
            stdout=output,
            stderr=output,
            cwd=log.parent,
            start_new_session=True,
        )
    try:
        yield it
    finally:
        kill_group(it)


def kill_group(it: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(it.pid, signal.SIGKILL)
    it.wait()


def adopt_orphans() -> None:
    """Whatever our process leaves behind becomes our child, wherever it has gone."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end_children() -> None:
    """Kill what is still there of all that this process has started, and what that has."""
    while children := [
        int(pid)
        for listed in Path("/proc/self/task").glob("*/children")
        for pid in listed.read_text().split()
    ]:
        for pid in children:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def until(true: Callable[[], bool], what: str, seconds: float = READY_SECONDS) -> None:
    """Return when it is so; raises TimeoutError with what was waited for."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise TimeoutError(f"not within {seconds:g} s: {what}")
        time.sleep(0.02)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def redis(_: Path, folder: Path) -> Iterator[Environment]:
    port = free_port()
    command = [
        *("redis-server", "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)),
        *("--appendonly", "yes", "--maxmemory-policy", "noeviction"),
    ]
    environment = bare(folder) | {"LD_LIBRARY_PATH": os.environ.get("LD_LIBRARY_PATH", "")}
    with process(command, environment, folder / "server.log"):
        until(lambda: _listens(port), "redis-server")
        yield {"PEER_SERVER": f"redis://127.0.0.1:{port}/0"}


@contextlib.contextmanager
def postgres(_: Path, folder: Path) -> Iterator[Environment]:
    """PostgreSQL refuses to run as root: there it is the user postgres."""
    port, environment = free_port(), bare(folder)
    programs = Path(os.path.realpath(shutil.which("postgres") or "postgres")).parent
    user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
    before = user if os.geteuid() == 0 else []
    with tempfile.TemporaryDirectory() as place:
        if before:
            shutil.chown(place, "postgres", "postgres")
        data = f"{place}/data"
        made = [
            *before,
            f"{programs}/initdb",
            "-D",
            data,
            "-E",
            "UTF8",
            "-U",
            "postgres",
            "-A",
            "trust",
        ]
        subprocess.run(made, env=environment, check=True, stdout=subprocess.DEVNULL)
        command = [*before, f"{programs}/postgres", "-D", data, "-p", str(port), "-k", place]
        with process(command, environment, folder / "server.log") as it:
            until(lambda: _listens(port), "postgres")
            try:
                yield {"PEER_SERVER": f"postgresql://postgres@127.0.0.1:{port}/postgres"}
            finally:
                # Killed, it leaves its shared memory behind.
                it.send_signal(signal.SIGINT)
                it.wait()


@contextlib.contextmanager
def prefect(environments: Path, folder: Path) -> Iterator[Environment]:
    """Its tables were made with its environment, which takes longer than all the rest of a start;
    what only flows, schedules and automations need is off."""
    port, home = free_port(), folder / "prefect"
    shutil.copytree(environments / "prefect/home", home)
    own = {
        "PREFECT_HOME": str(home),
        "PREFECT_API_DATABASE_MIGRATE_ON_START": "false",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        **{f"PREFECT_SERVER_SERVICES_{name}_ENABLED": "false" for name in PREFECT_UNUSED},
        "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
        "DO_NOT_TRACK": "1",
    }
    program = str(environments / "prefect/bin/prefect")
    command = [program, "server", "start", "--host", "127.0.0.1", "--port", str(port), "--no-ui"]
    with process(command, bare(folder) | own, folder / "server.log"):
        until(lambda: _listens(port), "prefect server")
        yield own | {"PREFECT_API_URL": f"http://127.0.0.1:{port}/api"}


@contextlib.contextmanager
def restate(environments: Path, folder: Path) -> Iterator[Environment]:
    ingress, admin, inner, ours = (free_port() for _ in range(4))
    own = {
        "RESTATE_BIND_IP": "127.0.0.1",
        "RESTATE_LISTEN_MODE": "tcp",
        "RESTATE_BIND_PORT": str(inner),
        "RESTATE_INGRESS__BIND_PORT": str(ingress),
        "RESTATE_ADMIN__BIND_PORT": str(admin),
        "RESTATE_BASE_DIR": str(folder / "restate"),
        "DO_NOT_TRACK": "1",
    }
    program = str(environments / "restate-server/node_modules/.bin/restate-server")
    with process([program], bare(folder) | own, folder / "server.log"):
        until(lambda: _listens(ingress) and _listens(admin), "restate-server")
        at = f"http://127.0.0.1:{ingress} http://127.0.0.1:{admin}"
        yield {"PEER_SERVER": at, "PEER_PORT": str(ours)}
