"""What each process of the local mode is told, and who may read what it keeps."""

import re
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests.stack.driver import ENDED, Stack, own_settings

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]

KEY = "A" * 43 + "="
# In the shell of `make up`, and nobody's business.
FOREIGN = {
    "AWS_SECRET_ACCESS_KEY": KEY,
    "GITHUB_TOKEN": KEY,
    "HTTPS_PROXY": "http://me:secret@127.0.0.1:9",
    "NOT_A_SETTING": KEY,
}
SECRETS = {"API_TOKEN": KEY, "PAYLOAD_KEY": KEY, "CALLBACK_SECRET": KEY}
CLIENTS = {"api", "callback", "semaphore", "worker"}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    data = tmp_path_factory.mktemp("told")
    found = Stack(own_settings(data, mode="local", project="unused") | SECRETS | FOREIGN)
    try:
        found.make("up")
        yield found
    finally:
        found.make("clean", "YES=1")


def family(pid: int) -> Iterator[int]:
    """A process and all that it has started."""
    yield pid
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        yield from family(int(child))


def name(pid: int) -> str:
    """By its command line: a service, or another program of the stack."""
    line = Path(f"/proc/{pid}/cmdline").read_bytes().decode()
    found = re.search(r"services\.(\w+)|(supervisord|ui_proxy|temporal)", line)
    return (found[1] or found[2]) if found else line


def told(pid: int) -> set[str]:
    """The names in its environment."""
    entries = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    return {entry.partition("=")[0] for entry in entries}


def test_each_process_is_told_what_it_reads_and_no_more(stack: Stack) -> None:
    supervisor = int(Path(stack.settings["DATA_DIR"], "run", "supervisord.pid").read_text())
    found = [(name(pid), told(pid)) for pid in family(supervisor)]
    programs = {"supervisord", "temporal", "ui_proxy", "mock_comfyui", "mock_kling"}
    assert programs | CLIENTS <= {it for it, _ in found}
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


def test_nobody_else_can_read_what_the_stack_keeps(stack: Stack) -> None:
    authorized = {"Authorization": f"Bearer {KEY}"}
    body = {"prompt": "a fox", "style": "ink"}
    answer = httpx.post(f"{stack.url('API_PORT')}/jobs", json=body, headers=authorized, timeout=60)
    assert stack.follow(answer.json()["job_id"], until=ENDED)["status"] == "succeeded"
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
