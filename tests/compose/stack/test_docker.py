"""Compose's commands; images are built again exactly when their content has changed."""

import json
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import pytest

from compose.stack import docker, machine
from compose.stack.docker import Docker
from compose.stack.output import UNREACHABLE, StackError
from compose.stack.services import LOADTEST
from compose.stack.settings import DEFAULT_BASE_IMAGE
from compose.stack.subprocesses import Outcome
from tests.compose.stack.conftest import Load


class Told:
    """Notes what would be run, from the subcommand on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.words: list[str] = []
        self.files: list[str] = []
        self.env: Mapping[str, str] = {}
        monkeypatch.setattr(docker, "capture", self._capture)
        monkeypatch.setattr(docker, "must", self._must)
        monkeypatch.setattr(machine, "compose", lambda: (("compose",), "2.40"))
        monkeypatch.setattr(docker, "up_to_date", lambda project, source: True)

    def _capture(self, command: list[str], env: Mapping[str, str], *, timeout: float) -> Outcome:
        return self._note(command, env)

    def _must(self, command: list[str], env: Mapping[str, str], *, doing: str, log: Path) -> None:
        self._note(command, env)

    def _note(self, command: list[str], env: Mapping[str, str]) -> Outcome:
        self.env = env
        self.files = [Path(after).name for word, after in pairwise(command) if word == "--file"]
        last_file = len(command) - 1 - command[::-1].index("--file")
        self.words = command[last_file + 2 :]
        return Outcome(0, "", "")


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    return Told(monkeypatch)


def test_container_gets_its_settings_in_a_private_file(told: Told, settings: Load) -> None:
    found = settings(API_TOKEN="a $dollar-token-1", CALLBACK_SECRET="s" * 32, ROLES="temporal,api")
    Docker(found).serve()
    assert told.words == ["up", "--detach", "--no-build", "--wait", "temporal"]
    file = found.run_dir / "environment.json"
    assert told.files == ["compose.yaml", "mocks.yaml", "environment.json"]
    assert file.stat().st_mode & 0o077 == 0
    services = json.loads(file.read_text())["services"]
    # Also of what does not run here: programs of it are asked.
    assert {"worker", "semaphore", "loadtest"} < services.keys()
    # Compose would fill in what follows a `$`.
    assert services["api"]["environment"]["API_TOKEN"] == "a $$dollar-token-1"
    assert "API_TOKEN" not in services["worker"]["environment"]
    assert services["worker"]["environment"]["CALLBACK_SECRET"] == "s" * 32
    assert not {"a $dollar-token-1", "s" * 32} & set(told.env.values())


def test_server_that_does_not_start_is_quoted(
    told: Told, settings: Load, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def unhealthy(*_: object, **__: object) -> None:
        raise StackError("it is unhealthy", UNREACHABLE)

    monkeypatch.setattr(docker, "must", unhealthy)
    monkeypatch.setattr(docker, "capture", lambda _: Outcome(0, "", "file is not a database\n"))
    with pytest.raises(StackError, match="unhealthy"):
        Docker(settings()).serve()
    assert capsys.readouterr().err == "file is not a database\n"


def test_private_workflow_can_be_read_in_a_container(
    told: Told, settings: Load, tmp_path: Path
) -> None:
    own = tmp_path / "own.json"
    own.write_bytes(b"{\xff}")
    own.chmod(0o600)
    Docker(settings(COMFYUI_WORKFLOW=str(own))).serve()
    mounted = Path(told.env["COMFYUI_WORKFLOW"])
    assert mounted.read_bytes() == own.read_bytes()
    assert mounted.stat().st_mode & 0o444 == 0o444
    assert mounted.parent.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("changed", "builds"),
    [
        ("services/worker/b.py", True),
        ("services/worker/new.py", True),
        ("requirements/mocks.txt", True),
        ("compose/temporal.args", True),
        ("docs/d.md", False),
        ("services/worker/__pycache__/b.pyc", False),
    ],
)
def test_changes_that_build_a_new_image(tmp_path: Path, changed: str, builds: bool) -> None:
    (tmp_path / "services/worker").mkdir(parents=True)
    (tmp_path / "services/worker/b.py").touch()
    before = docker.source_hash(tmp_path, "base")
    assert docker.source_hash(tmp_path, "another") != before
    (tmp_path / changed).parent.mkdir(exist_ok=True)
    (tmp_path / changed).write_text("changed")
    assert (docker.source_hash(tmp_path, "base") != before) == builds


def test_image_of_a_service_that_was_no_part_before_is_built(
    settings: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    images: set[str] = set()
    builds: list[set[str]] = []

    def capture(command: list[str], *_: object) -> Outcome:
        names = [word for word in command if word.startswith("genvideo-")]
        there = [name for name in names if name in images]
        return Outcome(int(there != names), "\n".join(there), "")

    def build(*_: object, **__: object) -> None:
        builds.append({f"genvideo-{each.name}" for each in (*stack.settings.whole, LOADTEST)})
        images.update(builds[-1])

    monkeypatch.setattr(docker, "capture", capture)
    monkeypatch.setattr(docker, "must", build)
    monkeypatch.setattr(machine, "compose", lambda: (("compose",), "2.40"))
    real = {"MOCKS": "off", "COMFYUI_URL": "http://c", "KLING_URL": "http://k"}
    for given in (real, real, {}, {}, real, {"PIPELINES": "examples.speech.definition:SPEECH"}):
        stack = Docker(settings(**given))
        stack.prepare()
    assert [len(each) for each in builds] == [6, 8, 10]


class Engine:
    """Answers for `docker` and `mmdebstrap`: which images there are, and whether one can be had."""

    def __init__(self, *present: str, pulls: bool = False, makes: bool = True) -> None:
        self.present, self.pulls, self.makes = present, pulls, makes
        self.made = 0

    def capture(self, command: list[str], **_: object) -> Outcome:
        if command[0] == "mmdebstrap":
            return Outcome(0 if self.makes else 127, "", "")
        good = self.pulls if command[1] == "pull" else command[-1] in self.present
        return Outcome(0 if good else 1, "", "" if good else "no such host")

    def must(self, command: list[str], **_: object) -> None:
        self.made += 1


PINNED = "python:3.13-slim@sha256:" + "0" * 64
DEFAULT, LOCAL = DEFAULT_BASE_IMAGE, docker.LOCAL_BASE_IMAGE


@pytest.mark.parametrize(
    ("engine", "wanted", "found", "made"),
    [
        (Engine(DEFAULT, LOCAL), "", DEFAULT, 0),
        (Engine(LOCAL), "", LOCAL, 0),
        (Engine(pulls=True), "", DEFAULT, 0),
        (Engine(), "", LOCAL, 1),
        (Engine("mine"), "mine", "mine", 0),
        (Engine(DEFAULT, LOCAL, pulls=True), PINNED, PINNED, 0),
        (Engine(DEFAULT, LOCAL), PINNED, f"BASE_IMAGE={PINNED} is not here", None),
        (Engine(LOCAL), "mine", "BASE_IMAGE=mine is not here and can't be fetched", None),
        (Engine(makes=False), "", "apt-get install mmdebstrap", None),
    ],
)
def test_choice_of_the_base_image(
    settings: Load,
    monkeypatch: pytest.MonkeyPatch,
    engine: Engine,
    *,
    wanted: str,
    found: str,
    made: int | None,
) -> None:
    monkeypatch.setattr(docker, "capture", engine.capture)
    monkeypatch.setattr(docker, "must", engine.must)
    if made is None:
        with pytest.raises(StackError, match=found) as caught:
            docker.base_image(settings(BASE_IMAGE=wanted))
        assert "\n" not in str(caught.value)
        assert caught.value.status == UNREACHABLE
    else:
        assert docker.base_image(settings(BASE_IMAGE=wanted)) == found
        assert engine.made == made
