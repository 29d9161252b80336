"""What `make doctor` says of the ports, who can reach each, of disk, store and vendors."""

import json
import re
import shutil
from pathlib import Path

import pytest

from compose.stack import docker, machine, modes
from compose.stack.checks import Finding
from compose.stack.commands import doctor as doctor_of_the_stack
from compose.stack.commands.doctor import base_image, disk, doctor
from compose.stack.docker import LOCAL_BASE_IMAGE
from compose.stack.given import Saved
from compose.stack.output import UNREACHABLE, VERDICT, StackError
from compose.stack.services import Unit
from compose.stack.settings import DEFAULT_BASE_IMAGE, Settings
from compose.stack.subprocesses import Outcome
from tests.compose.stack.conftest import Fake, Load
from tests.compose.stack.test_checks import BAD, GOOD, MAYBE, REAL, vendors

PORT = re.compile(r"^(ok|bad) +port (\d+) +(.+)$", re.MULTILINE)
TOTAL = 1000 * 2**30


@pytest.fixture(autouse=True)
def all_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "is_free", lambda bind, port: True)
    monkeypatch.setenv("NO_COLOR", "1")


def said(settings: Load, capsys: pytest.CaptureFixture[str], **environ: str) -> dict[int, str]:
    """What it says of each port, with its verdict."""
    doctor(settings(MODE="local", **environ))
    lines = PORT.findall(capsys.readouterr().out)
    return {int(port): f"{verdict} {words}" for verdict, port, words in lines}


def test_every_port_is_on_loopback_by_default(
    settings: Load, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = said(settings, capsys, WORKERS="2")
    assert set(lines) == {6889, 7233, 8000, 8001, 8080, 9099, 9100, 9101, 16882}
    assert all(re.fullmatch("ok .+: loopback only", line) for line in lines.values()), lines
    assert lines[8080] == "ok Temporal UI: loopback only"


def test_what_is_open_is_told_with_its_address(
    settings: Load, capsys: pytest.CaptureFixture[str]
) -> None:
    opened = {"BIND_ADDRESS": "0.0.0.0", "CALLBACK_BIND_ADDRESS": "10.1.2.3"}
    lines = said(settings, capsys, API_TOKEN="x" * 16, **opened)
    everywhere = "every machine that reaches 0.0.0.0 (every address of this machine)"
    assert lines.pop(8000) == f"ok API, WebSocket, dashboard: {everywhere}"
    assert lines.pop(8001) == "ok callback receiver: every machine that reaches 10.1.2.3"
    assert all(line.endswith(": loopback only") for line in lines.values())
    line = said(settings, capsys, API_BIND_ADDRESS="10.1.2.3")[8000]
    assert line.startswith(
        "bad API, WebSocket, dashboard: every machine that reaches 10.1.2.3, without"
    )
    assert "API_TOKEN" in line.partition("->")[2]


PINNED = "python:3.13-slim@sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("wanted", "present", "good", "told"),
    [
        ("", {DEFAULT_BASE_IMAGE, LOCAL_BASE_IMAGE}, True, DEFAULT_BASE_IMAGE),
        ("", {LOCAL_BASE_IMAGE}, True, LOCAL_BASE_IMAGE),
        ("", set(), False, "mmdebstrap"),
        (PINNED, {PINNED}, True, PINNED),
        (PINNED, {DEFAULT_BASE_IMAGE, LOCAL_BASE_IMAGE}, False, "make up fetches it"),
    ],
)
def test_nothing_takes_the_place_of_a_base_image_that_was_named(
    settings: Load,
    monkeypatch: pytest.MonkeyPatch,
    *,
    wanted: str,
    present: set[str],
    good: bool,
    told: str,
) -> None:
    monkeypatch.setattr(docker, "present", present.__contains__)
    found = base_image(settings(BASE_IMAGE=wanted))
    assert found.good == good
    assert told in (found.found if good else found.fix)


@pytest.mark.parametrize(("percent", "good"), [(4.9, False), (5.0, True), (80.0, True)])
def test_a_disk_that_is_soon_full_is_a_warning(
    settings: Load, monkeypatch: pytest.MonkeyPatch, percent: float, good: bool
) -> None:
    found = settings()
    asked: list[object] = []

    def usage(folder: object) -> shutil._ntuple_diskusage:
        asked.append(folder)
        free = int(TOTAL * percent / 100)
        return shutil._ntuple_diskusage(TOTAL, TOTAL - free, free)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    room, share = disk(found)
    assert room.good
    assert share == Finding(
        "share of the disk",
        good,
        f"{percent:.1f}% free",
        "set RETENTION_DAYS, make room, or move DATA_DIR",
        needed=False,
    )
    # DATA_DIR, or what is there of its path.
    assert asked == [found.data_dir.parent]


@pytest.mark.parametrize(
    ("text", "mode", "told"),
    [
        ("API_TOKEN=x\nWORKERS=2\n", 0o644, "API_TOKEN"),
        ("COMFYUI_HEADERS=x\nKLING_API_KEY=x", 0o640, "COMFYUI_HEADERS, KLING_API_KEY"),
        ("API_TOKEN=x\n", 0o600, None),
        ("WORKERS=2\n", 0o644, None),
    ],
)
def test_keys_in_a_file_that_others_can_read_are_told(
    root: Path,
    settings: Load,
    capsys: pytest.CaptureFixture[str],
    text: str,
    mode: int,
    told: str | None,
) -> None:
    (root / ".env").write_text(text)
    (root / ".env").chmod(mode)
    status = doctor(settings(MODE="local", API_TOKEN="t" * 16))
    [*found] = re.findall(r"^- +\.env +(.+)$", capsys.readouterr().out, re.MULTILINE)
    line = f"others on this machine can read {told} (mode {mode:o})  ->  chmod 600 {root}/.env"
    assert found == ([line] if told else [])
    assert status == doctor(settings(MODE="local", API_TOKEN="t" * 16))


def whole(*, receiver: bool) -> Fake:
    """A stack whose receiver is, or isn't, ready."""
    run = vendors(GOOD, MAYBE, BAD, status=VERDICT)
    run.running = [Unit("callback", "callback", "", ready=receiver, detail="")]
    run.prepare()
    return run


VENDOR = re.compile(r"^(ok|bad|-) +(image service|callbacks|video service) +(.+)$", re.MULTILINE)
FOUND = [
    ("ok", "image service", "answers"),
    ("-", "callbacks", "polling alone"),
    ("bad", "video service", "nobody answers  ->  VENDOR_CHECKS=off skips this check"),
]


@pytest.mark.parametrize(
    ("given", "running", "receiver", "words"),
    [(REAL, False, False, ()), ({}, True, True, ("--receiver",)), ({}, True, False, ())],
    ids=["real, before the stack runs", "also mocks and the receiver while it runs", "no receiver"],
)
def test_vendors_are_looked_at(
    settings: Load,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    given: dict[str, str],
    running: bool,
    receiver: bool,
    words: tuple[str, ...],
) -> None:
    run = whole(receiver=receiver)
    monkeypatch.setattr(modes, "chosen" if running else "running_or_prepared", lambda _: run)
    if running:
        Saved(mode="local").write(settings().run_dir)
    assert doctor(settings(MODE="local", **given)) == VERDICT
    assert VENDOR.findall(capsys.readouterr().out) == FOUND
    assert run.asked == [("services.worker.doctor", *words)]


def test_mocks_that_do_not_run_are_no_finding(
    settings: Load, capsys: pytest.CaptureFixture[str]
) -> None:
    doctor(settings(MODE="local"))
    assert VENDOR.findall(capsys.readouterr().out) == []


def test_that_they_can_not_be_asked_is_bad(
    settings: Load, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def unprepared(_: Settings) -> Fake:
        raise StackError("no packages are to be had", UNREACHABLE)

    monkeypatch.setattr(modes, "running_or_prepared", unprepared)
    assert doctor(settings(MODE="local", **REAL)) == VERDICT
    assert re.search("^bad stack +.*no packages are to be had", capsys.readouterr().out, re.M)


@pytest.mark.parametrize(
    ("away", "told"),
    [
        ([], "ok  store +s3://bucket/ours checks the conditions of writes"),
        (
            ["STORE_URL=s3://bucket/ours (.env) is refused: it is away"],
            "bad settings +.*it is away",
        ),
    ],
)
def test_a_store_elsewhere_is_looked_at(
    settings: Load,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    away: list[str],
    told: str,
) -> None:
    monkeypatch.setattr(doctor_of_the_stack, "service_mistakes", lambda _: away)
    doctor(settings(MODE="local", STORE_URL="s3://bucket/ours"))
    assert re.search(f"^{told}", capsys.readouterr().out, re.M)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("", "ok  Temporal +temporal.example:7233 has the namespace"),
        (
            "no attribute",
            "bad Temporal +no attribute  ->  temporal operator search-attribute create",
        ),
    ],
)
def test_a_temporal_elsewhere_is_looked_at(
    settings: Load,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    wrong: str,
    told: str,
) -> None:
    found = {"there": True, "instead": {}, "done": [], "refused": "", "wrong": wrong}
    found |= {"missing": {"CustomTag": "Keyword"} if wrong else {}}
    run = Fake({"semaphore.namespace": Outcome(0, json.dumps(found), "")})
    monkeypatch.setattr(modes, "running_or_prepared", lambda _: run)
    doctor(settings(MODE="local", TEMPORAL_ADDRESS="temporal.example:7233"))
    assert re.search(f"^{told}", capsys.readouterr().out, re.M)
    assert run.asked[0] == ("services.semaphore.namespace", "look", "3")
