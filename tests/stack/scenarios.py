"""What must hold of a stack in either mode; modes differ in how workers are found."""

import json
import socket
import time
from collections.abc import Callable, Set
from pathlib import Path
from typing import Any

from compose.stack.services import NAMES
from tests.stack.driver import Stack, most_at_once

# Names of the running workers, by what changes when one is started again.
Workers = Callable[[Stack], Set[object]]


def comes_up_and_stays(stack: Stack, workers: Workers) -> None:
    """Two workers, every address printed, no move to a port of another program, and a second `up`
    that changes nothing."""
    said = stack.make("up", "WORKERS=2")
    for port in ("API_PORT", "CALLBACK_PORT", "COMFYUI_PORT", "KLING_PORT", "TEMPORAL_UI_PORT"):
        assert stack.url(port) in said
    before = workers(stack)
    assert len(before) == 2
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        refusal = stack.make("up", f"API_PORT={taken}", good=False)
    assert refusal.startswith(f"port {taken}: API_PORT is in use by another program")
    stack.make("up")
    assert workers(stack) == before
    state = stack.make("ps")
    assert "all ready" in state.splitlines()
    assert all(name in state for name in NAMES)
    logged = stack.make("logs", "S=worker", "LINES=5")
    assert "worker" in logged
    assert "\x1b" not in logged


def one_at_a_time(stack: Stack) -> None:
    """Jobs of a load test succeed, no two are ever under way at once, and no log warns of an
    activity."""
    said = stack.make("test-3", "SEED=7")
    assert "report" in said
    assert [line for line in stack.make("logs", "S=worker").splitlines() if warns(line)] == []
    rows = stack.ledger()
    assert len(rows) == 6
    assert {row["outcome"] for row in rows} == {"succeeded"}
    assert most_at_once(rows) == 1
    assert stack.get("API_PORT", "/slots")["limit"] == 1


def warns(line: str) -> bool:
    """Whether a line of a log, ours or the SDK's, warns of an activity."""
    return "ctivity" in line and (" WARN " in line or '"warning"' in line)


def one_job_is_tried(stack: Stack) -> None:
    """Only after a yes; then it is printed with its files and its cost."""
    assert "YES=1" in stack.make("try", good=False)
    before = len(stack.ledger())
    said = stack.make("try", "YES=1", "PROMPT=雪地里的红狐狸")
    assert "cost   nothing, because these are mocks" in said
    assert "\nsucceeded after " in said
    assert "1 image and 1 video\n" in said
    assert "accepted by the mocks: 1 image and 1 video" in said
    for name in ("image.png", "video.mp4"):
        [path] = [line.strip() for line in said.splitlines() if line.endswith(name)]
        assert Path(path).stat().st_size > 0
    assert len(stack.ledger()) == before + 2


def restores_its_records(stack: Stack) -> None:
    """All records are gone but one, and that one is damaged: they come back as they were."""
    folder = Path(stack.settings["DATA_DIR"], "state", "jobs")
    before = {path.name: json.loads(path.read_bytes()) for path in folder.glob("job-*.json")}
    damaged, *others = sorted(before)
    (folder / damaged).write_bytes(b"{")
    for name in others:
        (folder / name).unlink()
    # The test's own limit ends the waiting.
    while {path.name: _whole(path) for path in folder.glob("job-*.json")} != before:
        time.sleep(0.5)


def _whole(path: Path) -> Any:
    """What a record says; None while it is damaged."""
    try:
        return json.loads(path.read_bytes())
    except ValueError:
        return None
