"""What the compose files, those of a cluster, and the rules for alerts say."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from compose.stack.services import ALL

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = ROOT / "compose"


def definitions(service: str) -> Iterator[dict[str, Any]]:
    """What the compose files say of a container, and of what it extends."""
    for file in ("compose.yaml", "mocks.yaml"):
        definition = yaml.safe_load((COMPOSE / file).read_text())["services"].get(service)
        while definition:
            yield definition
            base = definition.get("extends", {}).get("service")
            definition = yaml.safe_load((COMPOSE / "base.yaml").read_text())["services"].get(base)


def test_compose_files_hold_no_values() -> None:
    """What each reads is derived from its settings; see compose/stack/environment.py."""
    assert not [s for s in MOUNTS for each in definitions(s) if "environment" in each]


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
    },
    "mock-comfyui": {"/data/mocks": WRITES},
    "mock-kling": {"/data/mocks": WRITES},
    "loadtest": {"/data/state": READS, "/data/assets": READS, "/app/reports": WRITES},
}


@pytest.mark.parametrize("service", MOUNTS)
def test_container_mounts_the_folders_it_needs_and_writes_only_where_needed(service: str) -> None:
    volumes = [it for each in definitions(service) for it in each.get("volumes", [])]
    assert {it["target"]: it.get("read_only", False) for it in volumes} == MOUNTS[service]


def test_ports_are_on_loopback_except_for_two() -> None:
    opened = {each.name: f"${{{each.bind}:-127.0.0.1}}:" for each in ALL if each.bind}
    assert set(opened) == {"api", "callback"}
    ports = [
        (service, port)
        for service in MOUNTS
        for each in definitions(service)
        for port in each.get("ports", [])
    ]
    assert len(ports) == 6
    for service, port in ports:
        assert port.startswith(opened.get(service, "127.0.0.1:")), port


def test_packages_are_installed_by_hash_without_running_code() -> None:
    installs = re.findall(r"\bpip install (.*)", (COMPOSE / "Dockerfile").read_text("utf-8"))
    assert len(installs) == 4
    for arguments in installs:
        assert arguments == "--only-binary :all: --require-hashes -r requirements.txt"
    venv = (COMPOSE / "venv.py").read_text("utf-8")
    assert (
        venv.count('"install"') == venv.count('"--only-binary", ":all:", "--require-hashes"') == 1
    )
    # Looking for versions runs nothing either, which a package without a wheel would need.
    lock = (COMPOSE / "stack" / "commands" / "develop.py").read_text("utf-8")
    assert lock.count('"compile"') == lock.count('"--only-binary", ":all:"') == 1
    everywhere = [path for path in COMPOSE.rglob("*") if path.suffix in (".py", ".sh", ".yaml")]
    assert not [path for path in everywhere if "pip install" in path.read_text("utf-8")]


def test_no_secret_and_no_data_gets_into_an_image() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert ignored[1] == "*"
    assert not {"!data", "!.env", "!."} & set(ignored)


CLUSTER = COMPOSE / "cluster"
FRONT = (CLUSTER / "front.conf.template").read_text(encoding="utf-8")
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load((CLUSTER / "compose.yaml").read_text())[
    "services"
]


def test_only_the_front_of_the_cluster_is_open_and_needs_a_certificate() -> None:
    published = {name: each["ports"] for name, each in SERVICES.items() if "ports" in each}
    assert set(published) == {"front", "ui"}
    assert all(":-127.0.0.1}" in port for port in published["front"])
    assert all(port.startswith("127.0.0.1:") for port in published["ui"])
    assert "ssl_verify_client on;" in FRONT
    assert re.findall(r"^ *listen (.+);", FRONT, re.MULTILINE) == ["${FRONT_LISTEN} ssl"]
    asked = set(re.findall(r"\$\{([A-Z_]+)\}", FRONT))
    assert set(SERVICES["front"]["environment"]) == asked


@pytest.mark.parametrize("name", SERVICES)
def test_images_are_pinned_and_mounted_files_exist(name: str) -> None:
    version = re.fullmatch(r"\S+:\$\{[A-Z_]+_VERSION:-(\d[\d.]*)\}", SERVICES[name]["image"])
    assert version, SERVICES[name]["image"]
    sources = [each.split(":")[0] for each in SERVICES[name].get("volumes", [])]
    for source in (each for each in sources if each.startswith("./")):
        assert (CLUSTER / source).is_file()


@pytest.mark.skipif(shutil.which("promtool") is None, reason="no promtool")
def test_alerts_fire_exactly_when_they_should(tmp_path: Path) -> None:
    folder, file = COMPOSE / "observability", tmp_path / "alerts.yml"
    told = Path(__file__).with_name("alerts.yml").read_text(encoding="utf-8")
    file.write_text(told.replace("RULES", str(folder / "alerts.yml")), encoding="utf-8")
    for words in (("check", "config", folder / "prometheus.yml"), ("test", "rules", file)):
        ended = subprocess.run(["promtool", *words], capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stdout + ended.stderr
