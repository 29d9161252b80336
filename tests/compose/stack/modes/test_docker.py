"""What Compose is told; nothing is run."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from compose.stack.machine import engine, images
from compose.stack.modes import docker
from compose.stack.modes.docker import Docker
from compose.stack.services import API, WORKER
from compose.stack.subprocesses import Outcome
from tests.compose.stack.conftest import Load


class Told:
    """Notes what would be run, from the subcommand on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.words: list[str] = []
        monkeypatch.setattr(docker, "capture", self._capture)
        monkeypatch.setattr(docker, "must", self._must)
        monkeypatch.setattr(engine, "compose", lambda: (("compose",), "2.40"))
        monkeypatch.setattr(images, "up_to_date", lambda project, digest: True)

    def _capture(self, command: list[str], env: Mapping[str, str], *, timeout: float) -> Outcome:
        return self._note(command)

    def _must(self, command: list[str], env: Mapping[str, str], *, doing: str, log: Path) -> None:
        self._note(command)

    def _note(self, command: list[str]) -> Outcome:
        last_file = len(command) - 1 - command[::-1].index("--file")
        self.words = command[last_file + 2 :]
        return Outcome(0, "", "")


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    return Told(monkeypatch)


def test_what_is_open_is_replayed_in_a_container_of_the_new_image(
    told: Told, settings: Load
) -> None:
    Docker(settings()).ask(WORKER, "services.worker.replay_open", timeout=9)
    assert told.words == [
        *("run", "--rm", "--no-deps", "--no-TTY", "worker"),
        *("python3", "-m", "services.worker.replay_open"),
    ]


def test_settings_are_checked_in_a_container_that_starts_no_other(
    told: Told, settings: Load
) -> None:
    assert Docker(settings()).checked([API], seconds=9) == [Outcome(0, "", "")]
    assert told.words == [
        *("run", "--rm", "--no-deps", "--no-TTY", "api"),
        *("python3", "-m", "services.api", "--check"),
    ]


def test_the_server_can_be_started_before_all_others(told: Told, settings: Load) -> None:
    Docker(settings()).serve()
    assert told.words == ["up", "--detach", "--no-build", "--wait", "temporal"]
