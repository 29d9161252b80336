"""The same stack as ordinary processes, each of which gets only the settings it reads."""

import asyncio
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from compose.stack.environment import environment_of
from compose.stack.local import marked
from compose.stack.machine import free_ports
from compose.stack.services import LOADTEST
from compose.stack.settings import load
from tests.fixtures.eventually import eventually
from tests.stack import scenarios
from tests.stack.driver import ENDED, ROOT, Stack, own_settings
from tools.bench.__main__ import app as benchmarks

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]

KEY = "A" * 43 + "="
# In the shell of `make up`, and nobody's business.
FOREIGN = {
    "AWS_SECRET_ACCESS_KEY": KEY,
    "GITHUB_TOKEN": KEY,
    "HTTPS_PROXY": "http://me:secret@127.0.0.1:9",
    "NOT_A_SETTING": KEY,
    "PYTHONUTF8": "0",
}
SECRETS = {"API_TOKEN": KEY, "PAYLOAD_KEY": KEY, "CALLBACK_SECRET": KEY}
AUTHORIZED = {"Authorization": f"Bearer {KEY}"}
CLIENTS = {"api", "callback", "semaphore", "worker"}
MOCKS = ("mock_comfyui", "mock_kling")


CODE = ("compose", "shared", "services", "loadtest", "requirements", "Makefile", ".env.example")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack whose code may be changed."""
    folder: Path = tmp_path_factory.mktemp("local")
    root = folder / "a clone's 视频"
    root.mkdir()
    for name in CODE:
        if (ROOT / name).is_dir():
            # What Python is writing may be gone in the middle of the copy.
            shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("*.pyc.*"))
        else:
            shutil.copy2(ROOT / name, root / name)
    (root / ".venv" / "bin").mkdir(parents=True)
    # No script of a package, as if the clone had been moved: each names the folder it was made in.
    for name in ("bin/python", "bin/python3", "bin/temporal", "lib", "pyvenv.cfg", "stamp"):
        (root / ".venv" / name).symlink_to(ROOT / ".venv" / name)
    settings = own_settings(folder, mode="local", project="unused")
    found = Stack(settings | SECRETS | FOREIGN | {"LC_ALL": "C"}, root)
    try:
        yield found
    finally:
        found.make("clean", "YES=1")


def workers(stack: Stack) -> set[int]:
    return pids(stack, "worker")


def pids(stack: Stack, *names: str) -> set[int]:
    return {pid for pid in marked(Path(stack.settings["DATA_DIR"], "run")) if name(pid) in names}


def test_stack_as_processes(stack: Stack) -> None:
    scenarios.comes_up_and_stays(stack, workers)
    refuses_wrong_settings(stack)
    scenarios.one_at_a_time(stack)
    scenarios.one_job_is_tried(stack)
    scenarios.restores_its_records(stack)


def refuses_wrong_settings(stack: Stack) -> None:
    """One line names those of all services, and what runs goes on as it was."""
    before = workers(stack)
    said = stack.make(
        "up", "API_MAX_SOCKETS=200000", "GATES=foo", "SEMAPHORE_CAPACITY=-1", good=False
    )
    [line] = [each for each in said.splitlines() if each.startswith("wrong settings: ")]
    for name in ("API_MAX_SOCKETS=200000", "GATES=foo", "SEMAPHORE_CAPACITY=-1"):
        assert line.count(f"{name} (environment) is refused: ") == 1
    stack.make("ps")
    assert workers(stack) == before


def name(pid: int) -> str:
    """By its command line: a service, or another program of the stack."""
    line = Path(f"/proc/{pid}/cmdline").read_bytes().decode()
    found = re.search(r"services\.(\w+)|(supervisord|ui_proxy|temporal)", line)
    return (found[1] or found[2]) if found else line


def told(pid: int) -> set[str]:
    entries = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    return {entry.partition("=")[0] for entry in entries}


def test_each_process_gets_only_its_settings(stack: Stack) -> None:
    run_dir = Path(stack.settings["DATA_DIR"], "run")
    supervisor = int((run_dir / "supervisord.pid").read_text())
    found = [(name(pid), told(pid)) for pid in (supervisor, *marked(run_dir))]
    assert {"supervisord", "temporal", "ui_proxy", *MOCKS, *CLIENTS} <= {it for it, _ in found}
    who = {
        secret: {it for it, names in found if secret in names} for secret in (*SECRETS, *FOREIGN)
    }
    assert who == {key: set() for key in FOREIGN} | {
        "API_TOKEN": {"api"},
        "PAYLOAD_KEY": CLIENTS,
        "CALLBACK_SECRET": {"callback", "worker"},
    }


def open_to_others(path: Path) -> bool:
    """What is gone by now is open to nobody."""
    with suppress(FileNotFoundError):
        return bool(stat.S_IMODE(path.lstat().st_mode) & (stat.S_IRWXG | stat.S_IRWXO))
    return False


def test_other_users_cannot_read_the_stacks_files(stack: Stack) -> None:
    data = Path(stack.settings["DATA_DIR"])
    folders = [path for path in data.iterdir() if path.is_dir()]
    assert {"state", "assets", "callbacks", "temporal", "logs", "run", "secrets"} <= {
        path.name for path in folders
    }
    assert [path.name for path in folders if open_to_others(path)] == []
    # What lies in `run/code` is a copy of the source.
    kept = [path for folder in folders for path in folder.rglob("*") if "code" not in path.parts]
    assert len(kept) > 10
    assert [str(path.relative_to(data)) for path in kept if open_to_others(path)] == []


def test_fewer_workers_keep_the_first(stack: Stack) -> None:
    before = workers(stack)
    stack.make("up", "WORKERS=1")
    assert workers(stack) < before
    assert len(workers(stack)) == 1


def test_taken_ports_are_named_and_nothing_is_half_started(stack: Stack, tmp_path: Path) -> None:
    second = Stack(stack.settings | {"DATA_DIR": str(tmp_path / "data")})
    said = second.make("up", good=False)
    for name in ("API_PORT", "TEMPORAL_UI_PORT"):
        taken = f"port {stack.settings[name]}: {name} is in use by another program"
        assert taken in said.splitlines()[0]
    assert "not running" in second.make("ps", good=False)


def test_second_stack_in_the_namespace_is_refused_before_it_starts(
    stack: Stack, tmp_path: Path
) -> None:
    shared = {"TEMPORAL_ADDRESS": f"127.0.0.1:{stack.settings['TEMPORAL_PORT']}"}
    second = Stack(own_settings(tmp_path, mode="local", project="unused") | SECRETS | shared)
    name = Path(stack.settings["DATA_DIR"], "secrets", "stack").read_text()
    line, *_ = second.make("up", good=False).splitlines()
    assert line.startswith(f"other stacks: stack {name} uses Temporal's namespace default:")
    assert marked(Path(second.settings["DATA_DIR"], "run")) == []
    assert not Path(second.settings["DATA_DIR"], "logs").exists()
    assert stack.follow(stack.submit("a fox"), until=ENDED)["status"] == "succeeded"
    assert f"STACK={name}" in stack.make("up", "STACK=another-name", good=False)


@pytest.fixture
def vendors() -> Iterator[dict[str, str]]:
    """An image and a video service that are not the stack's own, and answer."""
    names = dict(zip(("COMFYUI", "KLING"), MOCKS, strict=True))
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    with ExitStack() as running:
        for name, module in names.items():
            command = [sys.executable, "-m", f"services.{module}"]
            env = dict(os.environ) | {f"{name}_PORT": str(ports[name]), "MOCK_SPEED": "100"}
            process = running.enter_context(
                subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.DEVNULL)
            )
            running.callback(process.terminate)
        urls = {f"{name}_URL": f"http://127.0.0.1:{port}" for name, port in ports.items()}
        for url in urls.values():
            until_answered(f"{url}/healthz")
        yield urls


def until_answered(url: str, reached: Callable[[Any], object] = bool) -> None:
    """Wait until an address answers what `reached` wants."""

    async def ask() -> Any:
        async with httpx.AsyncClient(timeout=60) as http:
            with suppress(httpx.HTTPError):
                return (await http.get(url, headers=AUTHORIZED)).raise_for_status().json()
        return None

    asyncio.run(eventually(ask, lambda found: found is not None and reached(found)))


def test_running_stack_is_switched_to_other_vendors_and_back(
    stack: Stack, vendors: dict[str, str]
) -> None:
    # Before it looks at the vendors, a switch refuses open jobs, and an API that does not answer.
    api = stack.url("API_PORT")
    until_answered(f"{api}/slots", lambda slots: slots["waiting_count"] == 0)
    until_answered(f"{api}/jobs?status=running", lambda page: not page["jobs"])
    assert "MOCKS=off needs" in stack.make("mocks-off", good=False)
    refuses_wrong_vendors(stack, *words(vendors | {"KLING_URL": "http://127.0.0.1:1"}))

    stack.make("mocks-off", *words(vendors))
    assert pids(stack, *MOCKS) == set()
    job = stack.follow(stack.submit("a fox"), until=ENDED)
    assert job["status"] == "succeeded"
    rows = httpx.get(f"{vendors['KLING_URL']}/admin/ledger", timeout=60).json()
    assert [row["outcome"] for row in rows] == ["succeeded"]

    stack.make("mocks-on")
    assert pids(stack, "mock_comfyui")
    assert stack.follow(stack.submit("a fox"), until=ENDED)["status"] == "succeeded"
    assert len(httpx.get(f"{vendors['KLING_URL']}/admin/ledger", timeout=60).json()) == 1


def words(given: dict[str, str]) -> list[str]:
    return [f"{name}={value}" for name, value in given.items()]


def refuses_wrong_vendors(stack: Stack, *gone: str) -> None:
    """Nothing changes where nobody answers, and the doctor tells the good one from the bad one."""
    said = stack.make("mocks-off", *gone, good=False)
    start = "video service: no server answers at http://127.0.0.1:1 (KLING_URL): "
    [line] = [each for each in said.splitlines() if each.startswith(start)]
    assert line.endswith("nothing was started or changed; VENDOR_CHECKS=off skips this check")
    assert "Error 3" in said
    assert len(pids(stack, *MOCKS)) == len(MOCKS)
    found = stack.make("doctor", "MOCKS=off", *gone, good=False)
    assert re.search(r"^ok +image service +answers at ", found, re.MULTILINE)
    assert re.search(r"^bad +video service +no server answers at ", found, re.MULTILINE)


def test_orphans_of_a_killed_supervisor_are_ended_and_it_restarts(stack: Stack) -> None:
    run_dir = Path(stack.settings["DATA_DIR"], "run")
    supervisor = int((run_dir / "supervisord.pid").read_text())
    before = set(marked(run_dir))
    os.kill(supervisor, signal.SIGKILL)
    assert "earlier supervisor" in stack.make("up")
    after = set(marked(run_dir))
    assert after
    assert not after & before


# A change of what a workflow does, in the one file and in the other.
JOBS = ("shared/pipeline/messages.py", 'ENTER_QUEUE = "enter_queue"', 'ENTER_QUEUE = "enter"')
SEMAPHORES = (
    "shared/semaphore/state.py",
    'SEMAPHORE_RULES = "semaphore_rules"',
    'SEMAPHORE_RULES = "rules"',
)


def change(stack: Stack, name: str, before: str, after: str) -> None:
    path = stack.root / name
    text = path.read_text(encoding="utf-8")
    assert before in text
    path.write_text(text.replace(before, after), encoding="utf-8")


def pause(stack: Stack, *, paused: bool) -> None:
    url = f"{stack.url('API_PORT')}/slots"
    httpx.put(url, json={"paused": paused}, headers=AUTHORIZED, timeout=60).raise_for_status()


def waiting(stack: Stack) -> str:
    """A job that is open and does nothing until the pause is over."""
    pause(stack, paused=True)
    job_id = stack.submit("a fox in the queue")
    stack.follow(job_id, until={"queued"})
    return job_id


def goes_on(stack: Stack, job_id: str) -> None:
    pause(stack, paused=False)
    assert stack.follow(job_id, until=ENDED)["status"] == "succeeded"


def refused(stack: Stack, *said: str) -> None:
    """`make up` ends badly with one line of its own, and make's."""
    line, *others = stack.make("up", good=False).splitlines()
    for part in ("does not replay", "nothing was started or changed", *said):
        assert part in line, line
    assert all(other.startswith("make:") for other in others), others


def test_release_that_does_not_replay_changes_nothing(stack: Stack) -> None:
    job_id = waiting(stack)
    run_dir = Path(stack.settings["DATA_DIR"], "run")
    before = marked(run_dir)
    change(stack, *JOBS)
    refused(stack, "1 of 1 open jobs", job_id)
    assert marked(run_dir) == before
    # What dies is started again by the code that it was started from.
    for pid in pids(stack, "worker", "semaphore"):
        os.kill(pid, signal.SIGKILL)
    while "all ready" not in stack.make("ps", good=None).splitlines():
        # To be asked takes processor from what is to come back; the test's own limit ends it.
        time.sleep(1)
    goes_on(stack, job_id)


def test_semaphore_that_does_not_replay_is_rebuilt_with_force(stack: Stack) -> None:
    job_id = waiting(stack)
    copies = Path(stack.settings["DATA_DIR"], "run", "code")
    before = {*copies.iterdir()}
    name, old, new = JOBS
    change(stack, name, new, old)
    change(stack, *SEMAPHORES)
    refused(stack, "3 of 3 open semaphores", "FORCE=1", "rebuilds")
    stack.make("up", "FORCE=1")
    goes_on(stack, job_id)
    [after] = copies.iterdir()
    assert after not in before


def test_benchmark_measures_something(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack.make("up")
    for name, value in environment_of(load(ROOT, stack.settings), LOADTEST).items():
        monkeypatch.setenv(name, value)
    throughput = ("throughput", str(tmp_path), "--runs", "1", "--jobs", "3")
    for words in (throughput, ("table", str(tmp_path))):
        benchmarks(words, standalone_mode=False)

    found = json.loads((tmp_path / "bench.json").read_text())
    assert found["figures"]
    assert all(row["median"] > 0 for row in found["figures"] if row["name"][-4:] != "mean")


def test_nothing_is_left_after_make_down(stack: Stack) -> None:
    stack.make("up")
    job_id = waiting(stack)
    stack.make("down")
    assert marked(Path(stack.settings["DATA_DIR"], "run")) == []
    assert list(Path(stack.settings["DATA_DIR"], "state", "jobs").iterdir())
    # What was open then is replayed, too, before anything but the server is started.
    change(stack, *JOBS)
    refused(stack, "1 of 1 open jobs", job_id)
    assert "not running" in stack.make("ps", good=False)
