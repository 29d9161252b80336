"""What `make doctor` says of the ports, who can reach each, of disk, store and vendors."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from compose.stack import docker, machine, modes
from compose.stack.commands import doctor as doctor_of_the_stack
from compose.stack.commands.doctor import base_image, doctor
from compose.stack.docker import LOCAL_BASE_IMAGE
from compose.stack.given import Saved
from compose.stack.output import UNREACHABLE, VERDICT, StackError
from compose.stack.services import Unit
from compose.stack.settings import DEFAULT_BASE_IMAGE, Settings
from compose.stack.subprocesses import Outcome
from tests.compose.stack.conftest import Fake, Load
from tests.compose.stack.test_checks import BAD, GOOD, MAYBE, REAL, vendors

LINE = re.compile(r"^(ok|bad|-) +(\S+(?: \S+)*)  +(.+)$", re.MULTILINE)
Said = Callable[..., dict[str, str]]


@pytest.fixture
def said(
    settings: Load, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Said:
    """What it says of each thing, with its verdict, where every port is free."""
    monkeypatch.setattr(machine, "refusal", lambda bind, port: None)
    monkeypatch.setenv("NO_COLOR", "1")

    def of(**environ: str) -> dict[str, str]:
        status = doctor(settings(MODE="local", **environ))
        found = LINE.findall(capsys.readouterr().out)
        assert status == (VERDICT if "bad" in {verdict for verdict, _, _ in found} else 0)
        return {what: f"{verdict} {words}" for verdict, what, words in found}

    return of


def ports(said: dict[str, str]) -> dict[int, str]:
    return {int(what[5:]): line for what, line in said.items() if what.startswith("port ")}


def test_every_port_is_on_loopback_by_default(said: Said) -> None:
    lines = ports(said(WORKERS="2"))
    assert set(lines) == {6889, 7233, 8000, 8001, 8080, 9099, 9100, 9101, 16882}
    assert all(re.fullmatch("ok .+: loopback only", line) for line in lines.values()), lines
    assert lines[8080] == "ok Temporal UI: loopback only"


def test_open_ports_are_reported_with_their_address(said: Said) -> None:
    opened = {"BIND_ADDRESS": "0.0.0.0", "CALLBACK_BIND_ADDRESS": "10.1.2.3"}
    lines = ports(said(API_TOKEN="x" * 16, **opened))
    everywhere = "every machine that reaches 0.0.0.0 (every address of this machine)"
    assert lines.pop(8000) == f"ok API, WebSocket, dashboard: {everywhere}"
    assert lines.pop(8001) == "ok callback receiver: every machine that reaches 10.1.2.3"
    assert all(line.endswith(": loopback only") for line in lines.values())
    line = ports(said(API_BIND_ADDRESS="10.1.2.3"))[8000]
    begin = "bad API, WebSocket, dashboard: every machine that reaches 10.1.2.3, without"
    assert line.startswith(begin)
    assert "API_TOKEN" in line.partition("->")[2]


PINNED = "python:3.13-slim@sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("wanted", "present", "told"),
    [
        ("", {DEFAULT_BASE_IMAGE, LOCAL_BASE_IMAGE}, DEFAULT_BASE_IMAGE),
        ("", {LOCAL_BASE_IMAGE}, LOCAL_BASE_IMAGE),
        ("", set(), "make up fetches it, or makes one with mmdebstrap"),
        (PINNED, {PINNED}, PINNED),
        (PINNED, {DEFAULT_BASE_IMAGE, LOCAL_BASE_IMAGE}, "make up fetches it"),
    ],
)
def test_named_base_image_has_no_substitute(
    settings: Load, monkeypatch: pytest.MonkeyPatch, wanted: str, *, present: set[str], told: str
) -> None:
    monkeypatch.setattr(docker, "present", present.__contains__)
    found = base_image(settings(BASE_IMAGE=wanted))
    assert found.good == (told in present)
    assert (found.found if found.good else found.fix).startswith(told)


def test_full_disk_is_reported(said: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil._ntuple_diskusage(10 * 2**30, 8 * 2**30, 2 * 2**30)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    assert said()["disk"] == "bad 2.0 GiB free  ->  free 3 GiB, or move DATA_DIR"


@pytest.mark.parametrize(
    ("text", "mode", "told"),
    [
        ("API_TOKEN=x\nWORKERS=2\n", 0o644, "API_TOKEN"),
        ("COMFYUI_HEADERS=x\nKLING_API_KEY=x", 0o640, "COMFYUI_HEADERS, KLING_API_KEY"),
        ("API_TOKEN=x\n", 0o600, None),
        ("WORKERS=2\n", 0o644, None),
    ],
)
def test_keys_in_a_file_readable_by_others_are_reported(
    root: Path, said: Said, text: str, mode: int, told: str | None
) -> None:
    (root / ".env").write_text(text)
    (root / ".env").chmod(mode)
    line = f"- others on this machine can read {told} (mode {mode:o})  ->  chmod 600 {root}/.env"
    assert said(API_TOKEN="t" * 16).get(".env") == (line if told else None)


VENDORS = {
    "image service": "ok answers",
    "callbacks": "- polling alone",
    "video service": "bad nobody answers  ->  VENDOR_CHECKS=off skips this check",
}


@pytest.mark.parametrize(
    ("given", "running", "receiver", "words"),
    [(REAL, False, False, ()), ({}, True, True, ("--receiver",)), ({}, True, False, ())],
    ids=["real, before the stack runs", "also mocks and the receiver while it runs", "no receiver"],
)
def test_vendors_are_checked(
    settings: Load,
    said: Said,
    monkeypatch: pytest.MonkeyPatch,
    *,
    given: dict[str, str],
    running: bool,
    receiver: bool,
    words: tuple[str, ...],
) -> None:
    run = vendors(GOOD, MAYBE, BAD, status=VERDICT)
    run.running = [Unit("callback", "callback", "", ready=receiver, detail="")]
    run.prepare()
    monkeypatch.setattr(modes, "chosen" if running else "running_or_prepared", lambda _: run)
    if running:
        Saved(mode="local").write(settings().run_dir)
    assert VENDORS.items() <= said(**given).items()
    assert run.asked == [("services.worker.doctor", *words)]


def test_stopped_mocks_are_no_finding(said: Said) -> None:
    assert not VENDORS.keys() & said().keys()


def test_unreachable_vendors_are_a_finding(said: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    def unprepared(_: Settings) -> Fake:
        raise StackError("no packages are to be had", UNREACHABLE)

    monkeypatch.setattr(modes, "running_or_prepared", unprepared)
    assert said(**REAL)["stack"] == "bad it can't be checked (no packages are to be had)"


def test_external_store_is_checked(said: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    url = "s3://bucket/ours"
    away: list[str] = []
    monkeypatch.setattr(doctor_of_the_stack, "service_mistakes", lambda _: away)
    assert said(STORE_URL=url)["store"] == f"ok {url} checks the conditions of writes"
    away.append(f"STORE_URL={url} (.env) is refused: it is away")
    assert said(STORE_URL=url)["settings"] == f"bad {away[0]}"


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("", "ok temporal.example:7233 has the namespace"),
        ("no attribute", "bad no attribute  ->  temporal operator search-attribute create"),
    ],
)
def test_external_temporal_is_checked(
    said: Said, monkeypatch: pytest.MonkeyPatch, wrong: str, told: str
) -> None:
    found = {"there": True, "instead": {}, "done": [], "refused": "", "wrong": wrong}
    found |= {"missing": {"CustomTag": "Keyword"} if wrong else {}}
    run = Fake({"semaphore.namespace": Outcome(0, json.dumps(found), "")})
    monkeypatch.setattr(modes, "running_or_prepared", lambda _: run)
    assert said(TEMPORAL_ADDRESS="temporal.example:7233")["Temporal"].startswith(told)
    assert run.asked[0] == ("services.semaphore.namespace", "look", "3")
