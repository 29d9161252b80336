"""The table of services and ports is that of the stack and of the compose files."""

import re
from pathlib import Path

from compose.stack import services
from tests.docs.pages import ROOT, read, section, tables

PAGE = ROOT / "docs" / "operating.md"
FILES = (ROOT / "compose" / "compose.yaml", ROOT / "compose" / "mocks.yaml")
PUBLISHED = re.compile(r'"([^":]+|\$\{[A-Z_]+:-[\d.]+\}):\$\{([A-Z_]+):-(\d+)\}:(\d+)"')


def listed() -> list[tuple[str, str]]:
    [table] = tables(section(read(PAGE), "Services and ports"))
    return [(row[0].strip("`"), row[1]) for row in table.rows]


def in_compose() -> dict[str, str]:
    """Every service of the compose files, with what is written below its name."""
    found: dict[str, str] = {}
    for file in FILES:
        body = read(file).split("\nservices:\n", 1)[1]
        parts = re.split(r"^  ([a-z][\w-]*):\n", body, flags=re.MULTILINE)
        found |= dict(zip(parts[1::2], parts[2::2], strict=True))
    return found


def test_services_are_those_of_the_compose_files() -> None:
    assert {service for service, _ in listed()} == set(in_compose())


def test_ports_are_those_of_the_stack() -> None:
    ours = {(service.name, str(service.inner)) for service in services.ALL}
    ui = (services.TEMPORAL.name, str(services.UI_INNER))

    assert set(listed()) == ours | {ui, ("loadtest", "–")}


def test_published_ports_are_listed_and_inner_ones_are_not_published() -> None:
    inside = {service.name for service in services.ALL if service.inside} | {"loadtest"}
    published = {
        (service, outer)
        for service, body in in_compose().items()
        for _, _, outer, inner in PUBLISHED.findall(body)
        if outer == inner
    }

    assert published == {row for row in listed() if row[0] not in inside}


def test_only_a_service_that_may_be_opened_is_published_beyond_loopback() -> None:
    binds = {
        service: bind
        for service, body in in_compose().items()
        for bind, _, _, _ in PUBLISHED.findall(body)
    }
    openable = {each.name: each.bind for each in services.ALL if each.bind}

    assert openable == {"api": "API_BIND_ADDRESS", "callback": "CALLBACK_BIND_ADDRESS"}
    for service, bind in binds.items():
        name = openable.get(service)
        assert bind == (f"${{{name}:-127.0.0.1}}" if name else "127.0.0.1"), service


def test_every_service_is_a_folder() -> None:
    folders = {Path(path).name for path in (ROOT / "services").iterdir() if path.is_dir()}
    wanted = {name.replace("-", "_") for name, _ in listed()} - {"temporal", "loadtest"}

    assert wanted <= folders
