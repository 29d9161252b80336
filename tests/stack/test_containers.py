"""The very compose files, under a project name, a data folder and ports of their own."""

import base64
import json
import re
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

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
    found = Stack(own_settings(data, mode="docker", project=project) | keys())
    try:
        yield found
    finally:
        found.make("clean", "YES=1")
        images = docker("image", "ls", "--quiet", "--filter", f"reference={project}-*").split()
        if images:
            docker("image", "rm", "--force", *images)


def keys() -> dict[str, str]:
    """Secrets as a user sets them; with the second one Temporal's payloads are encrypted."""
    return {
        "CALLBACK_SECRET": secrets.token_urlsafe(32),
        "PAYLOAD_KEY": base64.b64encode(secrets.token_bytes(32)).decode(),
    }


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


def kill(stack: Stack) -> None:
    """SIGKILL for the worker process inside of each container."""
    for container in containers(stack, "worker"):
        docker("exec", container, "bash", "-c", "kill -9 $(cat /proc/1/task/1/children)")


def test_stack_in_containers(stack: Stack) -> None:
    scenarios.comes_up_and_stays(stack, workers)
    check_vendors(stack)
    scenarios.one_at_a_time(stack)
    scenarios.one_job_is_tried(stack)
    scenarios.survives_a_kill(stack, workers, kill)
    scenarios.restores_its_records(stack)
    check_confinement(stack)
    check_privacy(stack)
    check_secrets(stack)


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
    told: dict[str, set[str]] = {}
    for name in ("CALLBACK_SECRET", "PAYLOAD_KEY"):
        assert stack.settings[name] not in layers
        ids = docker("ps", "-q", "--filter", f"label=com.docker.compose.project={project}").split()
        told[name] = {
            found["Config"]["Labels"]["com.docker.compose.service"]
            for found in json.loads(docker("inspect", *ids))
            if stack.settings[name] in str(found)
        }
    assert told == {
        "CALLBACK_SECRET": {"callback", "worker"},
        "PAYLOAD_KEY": {"api", "callback", "semaphore", "worker"},
    }


def test_nothing_is_left_after_make_down(stack: Stack) -> None:
    stack.make("down")
    project = stack.settings["COMPOSE_PROJECT_NAME"]
    assert docker("ps", "-aq", "--filter", f"label=com.docker.compose.project={project}") == ""
    assert list(Path(stack.settings["DATA_DIR"], "state", "jobs").iterdir())
    assert "not running" in stack.make("ps")
