"""What each process of the local mode is told, read from the processes themselves."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stack.driver import Stack, own_settings

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]

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


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    found = Stack(own_settings(tmp_path, mode="local", project="unused") | SECRETS | FOREIGN)
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
