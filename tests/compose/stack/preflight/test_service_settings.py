"""What the services say of their settings becomes one line, before anything is started."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from compose.stack.errors import UNREACHABLE, USAGE, StackError
from compose.stack.modes.stack import Checkable
from compose.stack.preflight import service_settings
from compose.stack.processes import checking
from compose.stack.services import API, CALLBACK, SEMAPHORE, TEMPORAL, VIDEO, WORKER, Service
from compose.stack.settings import environment
from compose.stack.settings.load import Settings
from compose.stack.subprocesses import Outcome, capture
from services.worker.settings.worker import WorkerSettings
from shared.settings.common import load
from tests.compose.stack.conftest import ROOT, Load

GOOD = Outcome(0, "", "")
OURS = {"mock-comfyui", "mock-kling", "semaphore", "worker", "callback", "api"}


def refused(*mistakes: str) -> Outcome:
    """A service's answer, with what a container may say before it."""
    return Outcome(USAGE, "", f"Container made\nwrong settings: {'; '.join(mistakes)}\n")


@dataclass
class Stack:
    """Answers for the services."""

    answers: dict[Service, Outcome] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    ready: bool = False

    def prepare(self) -> None:
        self.ready = True

    def checked(self, services: Sequence[Service], *, seconds: int) -> list[Outcome]:
        assert self.ready
        self.asked += [service.name for service in services]
        return [self.answers.get(service, GOOD) for service in services]


def said(settings: Settings, run: Checkable) -> str:
    with pytest.raises(StackError) as caught:
        service_settings.check(settings, run)
    line = str(caught.value)
    assert "\n" not in line
    assert caught.value.status == USAGE
    return line


def test_every_service_of_ours_is_asked(settings: Load) -> None:
    run = Stack()
    service_settings.check(settings(), run)
    assert set(run.asked) == OURS
    assert len(run.asked) == len(OURS)


def test_what_is_made_once_is_made_before_they_are_asked(settings: Load) -> None:
    folder = settings().data_dir / "secrets"

    class Late(Stack):
        def checked(self, services: Sequence[Service], *, seconds: int) -> list[Outcome]:
            made = {path.name for path in folder.iterdir()}
            assert made == {"callback_secret", "operator_key", "stack"}
            return super().checked(services, seconds=seconds)

    service_settings.check(settings(), Late())


def test_what_is_not_started_is_not_asked(settings: Load) -> None:
    run = Stack({VIDEO: refused("KLING_PLACES: no"), TEMPORAL: refused("X: no")})
    real = settings(MOCKS="off", COMFYUI_URL="http://a", KLING_URL="http://b", KLING_PLACES="-1")
    service_settings.check(real, run)
    assert set(run.asked) == OURS - {"mock-comfyui", "mock-kling"}


def test_one_line_names_each_mistake_of_all_once_with_its_origin(
    settings: Load, root: Path
) -> None:
    (root / ".env").write_text("SEMAPHORE_CAPACITY=-1\n")
    found = settings(GATES="foo", API_RATE="x", STALL_SECONDS="0")
    run = Stack(
        {
            SEMAPHORE: refused("SEMAPHORE_CAPACITY: too few", "STALL_SECONDS: too short"),
            WORKER: refused("STALL_SECONDS: too short", "GATES: no such gate; known are a, b"),
            API: refused("API_RATE: no number"),
        }
    )
    assert said(found, run) == (
        "wrong settings: API_RATE=x (environment) is refused: no number;"
        " GATES=foo (environment) is refused: no such gate; known are a, b;"
        " SEMAPHORE_CAPACITY=-1 (.env) is refused: too few;"
        " STALL_SECONDS=0 (environment) is refused: too short"
    )


def test_no_secret_is_shown(settings: Load) -> None:
    run = Stack({CALLBACK: refused("CALLBACK_SECRET: too short")})
    line = said(settings(CALLBACK_SECRET="hunter2"), run)
    assert line == "wrong settings: CALLBACK_SECRET=… (environment) is refused: too short"


TOGETHER = [
    {"VIDEO_API": "kling"},
    {"VIDEO_API": "kling", "KLING_ACCESS_KEY": "half"},
    {"VIDEO_API": "kling", "KLING_API_KEY": "k", "KLING_DURATION": "7"},
    {"VIDEO_API": "kling", "KLING_MODE": "4k"},
    {"VIDEO_API": "nowhere.module:Vendor"},
    {"IMAGE_API": "comfyui"},
    {"IMAGE_API": "comfyui", "COMFYUI_WORKFLOW": "nowhere.json"},
]


@pytest.mark.parametrize("wrong", TOGETHER, ids=str)
def test_what_several_settings_say_together_is_kept(
    settings: Load,
    wrong: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in WorkerSettings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in {"CALLBACK_SECRET": "x" * 32, **wrong}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit):
        load(WorkerSettings)
    words = capsys.readouterr().err
    run = Stack({WORKER: Outcome(USAGE, "", words), API: refused("API_RATE: no number")})
    line = said(settings(), run)
    assert words.strip().partition("wrong settings: ")[2].split(": ")[-1] in line
    assert "API_RATE= (default) is refused: no number" in line


def test_it_is_kept_where_nothing_else_is_wrong_and_told_once(settings: Load) -> None:
    together = refused("IMAGE_API=comfyui needs a file")
    line = said(settings(), Stack({WORKER: together, API: together}))
    assert line == "wrong settings: IMAGE_API=comfyui needs a file"


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (Outcome(1, "", "T\nImportError: no seat\n"), "ImportError: no seat"),
        (Outcome(2, "", "usage: …\nerror: unrecognized arguments: --check\n"), "unrecognized"),
        (Outcome(124, "", "did not answer within 60 s"), "within 60 s"),
    ],
)
def test_one_that_can_not_be_asked_is_named(settings: Load, answer: Outcome, why: str) -> None:
    run = Stack({API: answer})
    with pytest.raises(StackError, match=r"^api can't check its settings \(.*nothing was") as found:
        service_settings.check(settings(), run)
    assert why in str(found.value)
    assert found.value.status == UNREACHABLE


class Processes(Stack):
    """Asks the services themselves, each with the environment that it would get."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._settings = settings

    def checked(self, services: Sequence[Service], *, seconds: int) -> list[Outcome]:
        root, path = self._settings.root, {"PATH": os.defpath}
        programs = [
            (each.module, ROOT, environment.local_service(self._settings, each.name) | path)
            for each in services
        ]
        told = checking.request(programs, seconds=seconds)
        answer = capture([sys.executable, "-P", checking.__file__], cwd=root, told=told)
        return [Outcome(status, "", said) for status, said in checking.outcomes(answer.out)]


WRONG = {
    # Settings that nobody but their service has ever looked at.
    "API_RATE": "200000",
    "API_ORIGINS": "nonsense",
    "GATES": "foo",
    "VIDEO_POLL_SECONDS": "abc",
    "SEMAPHORE_CAPACITY": "-1",
    "MOCK_IMAGE_SECONDS": "long",
    "KLING_PLACES": "-1",
    "MOCK_CALLBACK_HOSTS": "http://receiver:8001",
    "MOCK_PICTURE_HOSTS": "pictures:x",
    "KLING_WEBHOOK_SECRET": "no base64",
    # Settings of several.
    "LOG_LEVEL": "LOUD",
    "LOG_FORMAT": "xml",
    "MOCK_SPEED": "fast",
    "STALL_SECONDS": "0",
    "PAYLOAD_KEY": "A" * 43 + "=,short",
    "CALLBACK_SECRET": "x" * 31,
    "API_PUBLIC_URL": "ftp://x",
    # The rest.
    "API_TOKEN": "short",
    "API_MAX_SOCKETS": "0",
    "RETENTION_DAYS": "0",
    "CALLBACK_URL": "http://a b",
    "TEMPORAL_UI_URL": "nowhere",
    "IMAGE_SERVICE_URL": "ftp://x",
    "RESULT_HOSTS": "*.com,https://cdn.example",
    "VENDOR_PROXY": "socks5://us:a-password@proxy:1080",
}


def test_the_services_themselves_name_every_mistake(settings: Load) -> None:
    found = settings(**WRONG)
    line = said(found, Processes(found))
    told = [part.split("=")[0] for part in line.removeprefix("wrong settings: ").split("; ")]
    assert [name for name in told if name.isupper()] == sorted(WRONG)
    assert "Value error" not in line
    for name in ("PAYLOAD_KEY", "CALLBACK_SECRET", "API_TOKEN", "VENDOR_PROXY"):
        assert WRONG[name] not in line
        assert f"{name}=… (environment)" in line


@pytest.mark.parametrize(
    "right",
    [
        {"MOCK_SPEED": "0.5", "API_RATE": "0", "GATES": "image,video", "API_ORIGINS": "*"},
        {
            "MOCK_SPEED": "100000",
            "PAYLOAD_KEY": "A" * 43 + "=",
            "CALLBACK_SECRET": f"{'x' * 32},{'y' * 32}",
        },
    ],
)
def test_the_services_themselves_accept_what_is_right(
    settings: Load, right: dict[str, str]
) -> None:
    found = settings(**right)
    service_settings.check(found, Processes(found))
