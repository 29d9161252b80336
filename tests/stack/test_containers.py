"""The very compose files, under a project name, a data folder and ports of their own."""

import contextlib
import dataclasses
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from compose.stack.output import INTERRUPTED
from tests.chaos.site import CHAOS_SETTINGS, Site, of_containers, remove_images
from tests.chaos.test_chaos import PARTS_DECK, SETTINGS, no_rule_is_broken
from tests.stack import scenarios
from tests.stack.driver import Stack, own_settings

pytestmark = [pytest.mark.containers, pytest.mark.timeout(900)]


def docker(*words: str) -> str:
    done = subprocess.run(["docker", *words], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    project = f"genvideo-test-{uuid4().hex[:8]}"
    data: Path = tmp_path_factory.mktemp("containers")
    # A secret as a user sets it.
    settings = CHAOS_SETTINGS | SETTINGS | {"CALLBACK_SECRET": secrets.token_urlsafe(32)}
    found = Stack(own_settings(data, mode="docker", project=project) | settings)
    try:
        yield found
    finally:
        found.make("clean", "YES=1")
        remove_images(project)


def containers(stack: Stack, service: str) -> list[str]:
    project = stack.settings["COMPOSE_PROJECT_NAME"]
    label = "label=com.docker.compose."
    return docker(
        "ps", "-q", "--filter", f"{label}project={project}", "--filter", f"{label}service={service}"
    ).split()


def workers(stack: Stack) -> set[str]:
    """Container and start: a container that was started again has another time."""
    ids = containers(stack, "worker")
    return set(docker("inspect", "--format", "{{.Id}} {{.State.StartedAt}}", *ids).splitlines())


def test_stack_in_containers(stack: Stack, tmp_path: Path) -> None:
    scenarios.comes_up_and_stays(stack, workers)
    check_namesake(stack, tmp_path)
    check_vendors(stack)
    scenarios.one_at_a_time(stack)
    scenarios.one_job_is_tried(stack)
    scenarios.restores_its_records(stack)
    check_confinement(stack)
    check_privacy(stack)
    check_secrets(stack)


def check_namesake(stack: Stack, folder: Path) -> None:
    """Another folder's stack under the same project name neither takes nor stops the containers."""
    project = stack.settings["COMPOSE_PROJECT_NAME"]
    other = Stack(own_settings(folder, mode="docker", project=project))
    before = workers(stack)
    said = f"COMPOSE_PROJECT_NAME={project}: containers of that name were not started from"
    assert other.make("up", good=False).startswith(said)
    assert other.make("clean", "YES=1").startswith("nothing was running")
    assert workers(stack) == before


def check_vendors(stack: Stack) -> None:
    """They are looked at from a worker's container; where nobody is, what runs goes on."""
    before = workers(stack)
    nobody = ("COMFYUI_URL=http://127.0.0.1:1", "KLING_URL=http://127.0.0.1:1")
    line, *_ = stack.make("mocks-off", *nobody, good=False).splitlines()
    nowhere = "service: no server answers at http://host.docker.internal:1"
    assert line.startswith(f"image {nowhere} (COMFYUI_URL): ")
    assert f"; video {nowhere} (KLING_URL): " in line
    found = stack.make("doctor", "MOCKS=off", *nobody, good=False)
    assert len(re.findall(r"^bad +(?:image|video) service +no server answers", found, re.M)) == 2
    assert workers(stack) == before


def check_confinement(stack: Stack) -> None:
    """Nobody is root, nothing is writable but what is mounted, ports are on loopback."""
    project = stack.settings["COMPOSE_PROJECT_NAME"]
    ids = docker("ps", "-q", "--filter", f"label=com.docker.compose.project={project}").split()
    assert len(ids) == 8
    for found in json.loads(docker("inspect", *ids)):
        host = found["HostConfig"]
        assert not found["Config"]["User"].startswith("0")
        assert host["ReadonlyRootfs"]
        assert host["CapDrop"] == ["ALL"]
        assert host["Memory"] > 0
        assert host["RestartPolicy"]["Name"] == "unless-stopped"
        published = [b for bindings in host["PortBindings"].values() for b in bindings]
        assert {binding["HostIp"] for binding in published} <= {"127.0.0.1"}


def check_privacy(stack: Stack) -> None:
    """Files are their owner's, whatever becomes of the folders around them."""
    data = Path(stack.settings["DATA_DIR"])
    folders = ("state", "assets", "callbacks", "mocks", "temporal")
    kept = [path for name in folders for path in (data / name).rglob("*")]
    assert len(kept) > 10
    assert [str(path.relative_to(data)) for path in kept if path.lstat().st_mode & 0o077] == []


def check_secrets(stack: Stack) -> None:
    """In no image, layer by layer, and in the environment of those alone who need them."""
    project = stack.settings["COMPOSE_PROJECT_NAME"]
    images = docker("image", "ls", "--quiet", "--filter", f"reference={project}-*").split()
    assert len(images) == 8
    layers = docker("image", "inspect", *images) + "".join(
        docker("history", "--no-trunc", "--format", "{{json .}}", image) for image in images
    )
    assert stack.settings["CALLBACK_SECRET"] not in layers
    ids = docker("ps", "-q", "--filter", f"label=com.docker.compose.project={project}").split()
    told = {
        found["Config"]["Labels"]["com.docker.compose.service"]
        for found in json.loads(docker("inspect", *ids))
        if stack.settings["CALLBACK_SECRET"] in str(found)
    }
    assert told == {"callback", "worker"}


def test_changed_code_restarts_only_its_service(stack: Stack, tmp_path: Path) -> None:
    """A mock that was started again would not know what it had made for the jobs that are open."""
    stack.make("up")
    for name in ("compose", "requirements", "shared", "services", "loadtest", "examples"):
        shutil.copytree(stack.root / name, tmp_path / "copy" / name)
    for name in ("Makefile", ".dockerignore", ".env.example", "pyproject.toml"):
        shutil.copy(stack.root / name, tmp_path / "copy")
    (tmp_path / "copy" / ".venv").symlink_to(stack.root / ".venv")
    # As a checkout under a umask of 077: the services are another user.
    subprocess.run(["chmod", "-R", "go=", tmp_path / "copy" / "services"], check=True)
    other = dataclasses.replace(stack, root=tmp_path / "copy")
    services = ("temporal", "mock-comfyui", "mock-kling", "semaphore", "callback", "api")
    before = [containers(stack, service) for service in services]
    worker = workers(stack)
    with (other.root / "services/worker/worker.py").open("a") as file:
        file.write("# changed\n")
    other.make("up")
    assert [containers(stack, service) for service in services] == before
    assert workers(stack).isdisjoint(worker)


def test_interrupted_load_test_writes_its_report_and_ends(stack: Stack) -> None:
    """Without a terminal, as in a CI, and behind a pipe that nobody reads any more."""
    with subprocess.Popen(
        ["compose/stack.sh", "jobs", "20"], cwd=stack.root, env=os.environ | stack.settings,
        stdout=subprocess.PIPE, text=True, start_new_session=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert any(line.endswith(": begins\n") for line in process.stdout)
        process.stdout.close()
        os.killpg(process.pid, signal.SIGTERM)
    assert process.returncode == INTERRUPTED
    latest = Path(stack.settings["REPORTS_DIR"], "latest")
    assert "interrupted" in (latest / "report.md").read_text(encoding="utf-8")
    assert containers(stack, "loadtest") == []


async def test_chaos_of_containers_has_no_violation(stack: Stack, tmp_path: Path) -> None:
    """Each of them is killed once, and one is frozen."""

    @contextlib.asynccontextmanager
    async def site(_: Path) -> AsyncIterator[Site]:
        yield await of_containers(stack)

    await no_rule_is_broken(site, PARTS_DECK, tmp_path)


def test_nothing_is_left_after_make_down(stack: Stack) -> None:
    stack.make("down")
    project = stack.settings["COMPOSE_PROJECT_NAME"]
    assert docker("ps", "-aq", "--filter", f"label=com.docker.compose.project={project}") == ""
    assert list(Path(stack.settings["DATA_DIR"], "state", "jobs").iterdir())
    assert "not running" in stack.make("ps", good=False)
