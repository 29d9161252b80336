"""Files that must say the same: settings, the list of them, compose files, images."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from pydantic_settings import BaseSettings

from compose.stack.services import DEFAULT_PORTS, NAMES
from compose.stack.settings.dotenv import documented_names
from compose.stack.settings.read_by import LOADTEST, READ_BY, reads
from loadtest.settings import Settings as LoadtestSettings
from services.api.settings import ApiSettings
from services.callback.settings import CallbackSettings
from services.mock_comfyui.settings import ComfyuiSettings
from services.mock_kling.settings import KlingSettings
from services.semaphore.settings import SemaphoreProcessSettings
from services.worker.settings.worker import WorkerSettings

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = ROOT / "compose"
SETTINGS: Mapping[str, type[BaseSettings]] = {
    "api": ApiSettings,
    "callback": CallbackSettings,
    "semaphore": SemaphoreProcessSettings,
    "worker": WorkerSettings,
    "mock-comfyui": ComfyuiSettings,
    "mock-kling": KlingSettings,
}
# Worked out by the stack from other settings.
DERIVED = {
    *("IMAGE_SERVICE_URL", "VIDEO_SERVICE_URL", "CALLBACK_SERVICE_URL"),
    *("MOCK_COMFYUI_URL", "MOCK_KLING_URL", "WORKER_URL", "SEMAPHORE_URL"),
    *("LISTEN_HOST", "API_EXPOSED"),
    *("CALLBACK_GUARDED", "OPERATOR_KEY"),
}

OF_EVERY_CONTAINER = {"LISTEN_HOST", "DATA_DIR", "LOG_LEVEL", "LOG_FORMAT"}


def names(kind: type[BaseSettings]) -> set[str]:
    return {name.upper() for name in kind.model_fields}


def definitions(service: str) -> Iterator[dict[str, Any]]:
    """What the compose files say of a container, and of what it extends."""
    for file in ("compose.yaml", "mocks.yaml"):
        definition = yaml.safe_load((COMPOSE / file).read_text())["services"].get(service)
        while definition:
            yield definition
            base = definition.get("extends", {}).get("service")
            definition = yaml.safe_load((COMPOSE / "base.yaml").read_text())["services"].get(base)


def environment(service: str) -> set[str]:
    """Names that a container gets."""
    return {name for each in definitions(service) for name in each.get("environment", {})}


@pytest.mark.parametrize("service", SETTINGS)
def test_every_setting_is_documented(service: str) -> None:
    documented = documented_names(ROOT / ".env.example")
    assert names(SETTINGS[service]) - documented - DERIVED == set()


@pytest.mark.parametrize("service", SETTINGS)
def test_every_setting_reaches_its_container(service: str) -> None:
    """Except the ports, which are the default ones in there."""
    assert names(SETTINGS[service]) - set(DEFAULT_PORTS) - environment(service) == set()


@pytest.mark.parametrize("service", SETTINGS)
def test_a_process_of_the_local_mode_is_told_the_same(service: str) -> None:
    assert READ_BY[service] == names(SETTINGS[service])


def test_so_is_the_load_test() -> None:
    assert {name for name in names(LoadtestSettings) if not reads(LOADTEST, name)} == set()
    assert names(LoadtestSettings) >= READ_BY[LOADTEST]


@pytest.mark.parametrize("service", READ_BY)
def test_nothing_else_reaches_a_container(service: str) -> None:
    told = environment(service) - OF_EVERY_CONTAINER
    assert {name for name in told if not reads(service, name)} == set()


def test_the_documented_default_is_the_real_one() -> None:
    """Or that of one service, where several have defaults of their own."""
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    shown = dict(re.findall(r"^#([A-Z0-9_]+)=(.+)$", text, re.MULTILINE))
    defaults: dict[str, set[float]] = {}
    for kind in SETTINGS.values():
        for name, field in kind.model_fields.items():
            if isinstance(field.default, int | float):
                defaults.setdefault(name.upper(), set()).add(field.default)
    assert len(defaults) > 20
    for name in defaults.keys() & shown.keys():
        assert float(shown[name]) in defaults[name], name


def test_one_image_per_service_under_one_name() -> None:
    targets = set(re.findall(r"^FROM \S+ AS (\S+)$", (COMPOSE / "Dockerfile").read_text(), re.M))
    assert {*NAMES, "loadtest"} <= targets


# Every folder that a container sees, and whether it may write there; a mock's own is its ledger.
WRITES, READS = False, True
# The stack says so where RETENTION_DAYS has the API remove results.
AS_TOLD = "${API_KEEPS_RESULTS:-true}"
MOUNTS = {
    "temporal": {"/data/temporal": WRITES},
    "semaphore": {},
    "worker": {"/data/state": WRITES, "/data/assets": WRITES, "/comfyui/workflow.json": READS},
    "callback": {"/data/state": READS, "/data/callbacks": WRITES},
    "api": {
        "/data/state": WRITES,
        "/data/assets": AS_TOLD,
        "/data/callbacks": AS_TOLD,
        "/app/reports": READS,
    },
    "mock-comfyui": {"/data/mocks": WRITES},
    "mock-kling": {"/data/mocks": WRITES},
    "loadtest": {"/data/state": READS, "/data/assets": READS, "/app/reports": WRITES},
}


def test_a_container_sees_the_folders_that_it_needs_and_writes_where_it_must() -> None:
    assert {service: mounts(service) for service in MOUNTS} == MOUNTS


def mounts(service: str) -> dict[str, bool | str]:
    """Targets, and whether each is read-only, with those of what its definition extends."""
    found: dict[str, bool | str] = {}
    for definition in definitions(service):
        for volume in definition.get("volumes", []):
            found[volume["target"]] = volume.get("read_only", False)
    return found


def test_a_container_that_writes_shuts_others_out() -> None:
    stages = re.split(r"^FROM ", (COMPOSE / "Dockerfile").read_text("utf-8"), flags=re.MULTILINE)
    (runtime,) = [stage for stage in stages if stage.startswith("base AS runtime")]
    assert 'ENTRYPOINT ["/bin/sh", "-c", "umask 077; exec' in runtime
    # The load test has an entry of its own, for its reports are open to read.
    others = {stage.split()[2] for stage in stages if "ENTRYPOINT" in stage} - {"runtime"}
    assert others == {"loadtest"}


OPENED = {name: f"${{{name.upper()}_BIND_ADDRESS:-127.0.0.1}}:" for name in ("api", "callback")}


def test_all_ports_but_two_are_on_loopback_whatever_is_set() -> None:
    ports = [
        (service, port)
        for service in MOUNTS
        for each in definitions(service)
        for port in each.get("ports", [])
    ]
    assert len(ports) == 6
    for service, port in ports:
        assert port.startswith(OPENED.get(service, "127.0.0.1:")), port


def test_packages_are_installed_by_hash_and_without_running_them() -> None:
    installs = re.findall(r"\bpip install (.*)", (COMPOSE / "Dockerfile").read_text("utf-8"))
    assert len(installs) == 4
    for arguments in installs:
        assert arguments == "--only-binary :all: --require-hashes -r requirements.txt"
    venv = (COMPOSE / "venv.py").read_text("utf-8")
    assert (
        venv.count('"install"') == venv.count('"--only-binary", ":all:", "--require-hashes"') == 1
    )
    # Looking for versions runs nothing either, which a package without a wheel would need.
    lock = (COMPOSE / "stack" / "commands" / "quality.py").read_text("utf-8")
    assert lock.count('"compile"') == lock.count('"--only-binary", ":all:"') == 1
    everywhere = [path for path in COMPOSE.rglob("*") if path.suffix in (".py", ".sh", ".yaml")]
    assert not [path for path in everywhere if "pip install" in path.read_text("utf-8")]


def test_no_secret_can_get_into_a_layer() -> None:
    """What a build is told is in its image's history: that is where to build on, and no more."""
    text = (COMPOSE / "Dockerfile").read_text()
    assert set(re.findall(r"^ARG (\w+)", text, re.MULTILINE)) == {"BASE_IMAGE"}
    env = " ".join(re.findall(r"^ENV (.+)$", text, re.MULTILINE))
    assert not re.search(r"(?i)secret|key|token|password", env)
    for file in ("base.yaml", "compose.yaml", "mocks.yaml"):
        for service in yaml.safe_load((COMPOSE / file).read_text())["services"].values():
            build = service.get("build", {})
            assert set(build.get("args", {})) <= {"BASE_IMAGE"}
            assert set(build.get("labels", {})) <= {"genvideo.source"}
            assert "secrets" not in build


def test_no_secret_and_no_data_gets_into_an_image() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert ignored[1] == "*"
    assert not {"!data", "!.env", "!."} & set(ignored)
