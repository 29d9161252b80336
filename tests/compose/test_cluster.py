"""The server on PostgreSQL: who can reach it, and that it is what the pages say."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

CLUSTER = Path(__file__).resolve().parents[2] / "compose" / "cluster"
FRONT = (CLUSTER / "front.conf.template").read_text(encoding="utf-8")
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load((CLUSTER / "compose.yaml").read_text())[
    "services"
]


def test_only_the_front_can_be_opened_and_the_server_has_no_port() -> None:
    published = {name: each["ports"] for name, each in SERVICES.items() if "ports" in each}
    assert set(published) == {"front", "ui"}
    assert all(":-127.0.0.1}" in port for port in published["front"])
    assert all(port.startswith("127.0.0.1:") for port in published["ui"])


def test_the_front_lets_nobody_in_without_a_certificate() -> None:
    assert "ssl_verify_client on;" in FRONT
    listens = re.findall(r"^ *listen (.+);", FRONT, re.MULTILINE)
    assert listens == ["${FRONT_LISTEN} ssl"]


def test_all_that_the_front_is_to_be_told_is_told() -> None:
    asked = set(re.findall(r"\$\{([A-Z_]+)\}", FRONT))
    assert set(SERVICES["front"]["environment"]) == asked


@pytest.mark.parametrize("name", SERVICES)
def test_every_image_has_a_version(name: str) -> None:
    version = re.fullmatch(r"\S+:\$\{[A-Z_]+_VERSION:-(\d[\d.]*)\}", SERVICES[name]["image"])
    assert version, SERVICES[name]["image"]


@pytest.mark.parametrize("name", SERVICES)
def test_every_file_that_is_mounted_is_there(name: str) -> None:
    sources = [each.split(":")[0] for each in SERVICES[name].get("volumes", [])]
    for source in (each for each in sources if each.startswith("./")):
        assert (CLUSTER / source).is_file()
