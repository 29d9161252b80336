"""Images are built anew exactly when something in them changed."""

from pathlib import Path

import pytest

from compose.stack.errors import UNREACHABLE, StackError
from compose.stack.machine import images
from compose.stack.settings.load import DEFAULT_BASE_IMAGE
from compose.stack.subprocesses import Outcome
from tests.compose.stack.conftest import Load


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    files = [
        *(
            f"compose/{name}"
            for name in ("Dockerfile", "health.sh", "temporal.sh", "temporal.args")
        ),
        *(f"requirements/{name}.txt" for name in ("services", "mocks", "loadtest", "server")),
        "shared/a.py",
        "services/worker/b.py",
        "loadtest/c.py",
        "docs/d.md",
    ]
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    return tmp_path


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
def test_what_changes_an_image(tree: Path, changed: str, builds: bool) -> None:
    before = images.source_hash(tree, "base")
    (tree / changed).parent.mkdir(exist_ok=True)
    (tree / changed).write_text("changed")
    assert (images.source_hash(tree, "base") != before) == builds


def test_another_base_is_another_image(tree: Path) -> None:
    assert images.source_hash(tree, "one") != images.source_hash(tree, "two")


class Docker:
    """Answers for `docker` and `mmdebstrap`: which images there are, and whether one can be had."""

    def __init__(self, *, present: set[str], pulls: bool = False, makes: bool = True) -> None:
        self.present = present
        self.pulls = pulls
        self.makes = makes
        self.made = 0

    def capture(self, command: list[str], **_: object) -> Outcome:
        if command[0] == "mmdebstrap":
            return Outcome(0 if self.makes else 127, "", "")
        good = self.pulls if command[1] == "pull" else command[-1] in self.present
        return Outcome(0 if good else 1, "", "" if good else "no such host")

    def must(self, command: list[str], **_: object) -> None:
        self.made += 1

    def put_in(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(images, "capture", self.capture)
        monkeypatch.setattr(images, "must", self.must)


PINNED = "python:3.13-slim@sha256:" + "0" * 64
DEFAULT, LOCAL = DEFAULT_BASE_IMAGE, images.LOCAL_BASE_IMAGE


@pytest.mark.parametrize(
    ("docker", "wanted", "found", "made"),
    [
        (Docker(present={DEFAULT, LOCAL}), "", DEFAULT, 0),
        (Docker(present={LOCAL}), "", LOCAL, 0),
        (Docker(present=set(), pulls=True), "", DEFAULT, 0),
        (Docker(present=set()), "", LOCAL, 1),
        (Docker(present={"mine"}), "mine", "mine", 0),
        (Docker(present={DEFAULT, LOCAL}, pulls=True), PINNED, PINNED, 0),
    ],
)
def test_which_base_is_taken(
    settings: Load,
    monkeypatch: pytest.MonkeyPatch,
    docker: Docker,
    wanted: str,
    found: str,
    made: int,
) -> None:
    docker.put_in(monkeypatch)
    assert images.base_image(settings(BASE_IMAGE=wanted)) == found
    assert docker.made == made


@pytest.mark.parametrize(
    ("docker", "wanted", "said"),
    [
        (Docker(present={DEFAULT, LOCAL}), PINNED, f"BASE_IMAGE={PINNED} is not here"),
        (Docker(present={LOCAL}), "mine", "BASE_IMAGE=mine is not here and can't be fetched"),
        (Docker(present=set(), makes=False), "", "apt-get install mmdebstrap"),
    ],
)
def test_no_base_is_one_clear_line(
    settings: Load, monkeypatch: pytest.MonkeyPatch, docker: Docker, wanted: str, said: str
) -> None:
    docker.put_in(monkeypatch)
    with pytest.raises(StackError, match=said) as caught:
        images.base_image(settings(BASE_IMAGE=wanted))
    assert "\n" not in str(caught.value)
    assert caught.value.status == UNREACHABLE
