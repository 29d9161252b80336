"""Services, ports, metrics and alerts: the tables are those of code, stack and compose files."""

import json
import re
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]

from compose.stack import services
from tests.docs.pages import ROOT, read, section, spans, tables, tables_headed

OURS = sorted(set(services.NAMES) - {services.TEMPORAL.name})


def folder_of(name: str) -> Path:
    return ROOT / "services" / name.replace("-", "_")


def test_each_service_has_its_folder() -> None:
    programs = (ROOT / "services").glob("*/__main__.py")
    assert {file.parent for file in programs} == set(map(folder_of, OURS))


@pytest.mark.parametrize("name", OURS)
def test_log_lines_and_metrics_have_the_name(name: str) -> None:
    code = "\n".join(map(read, folder_of(name).rglob("*.py")))
    assert f'"{name}"' in code
    if name.startswith("mock-"):
        return
    assert set(re.findall(r'"genvideo_([a-z]+?)s?_', code)) <= {name}


def test_each_word_is_explained_once() -> None:
    rows = re.findall(r"^\| ([a-z][^|`]*?) \|", read(ROOT / "docs" / "glossary.md"), re.MULTILINE)
    explained = [word for word in rows if word != "word"]
    assert len(explained) == len(set(explained)) > 40


PAGE = ROOT / "docs" / "operating.md"
FILES = (ROOT / "compose" / "compose.yaml", ROOT / "compose" / "mocks.yaml")
PUBLISHED = re.compile(r'"([^":]+|\$\{[A-Z_]+:-[\d.]+\}):\$\{([A-Z_]+):-(\d+)\}:(\d+)"')


def ports() -> list[tuple[str, str]]:
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
    assert {service for service, _ in ports()} == set(in_compose())


def test_ports_are_those_of_the_stack() -> None:
    ours = {(service.name, str(service.inner)) for service in services.ALL}
    ui = (services.TEMPORAL.name, str(services.UI_INNER))

    assert set(ports()) == ours | {ui, ("loadtest", "–")}


def test_published_ports_are_listed_and_inner_ones_are_not_published() -> None:
    inside = {service.name for service in services.ALL if service.inside} | {"loadtest"}
    published = {
        (service, outer)
        for service, body in in_compose().items()
        for _, _, outer, inner in PUBLISHED.findall(body)
        if outer == inner
    }

    assert published == {row for row in ports() if row[0] not in inside}


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


DEFINED = re.compile(
    r"\b(?:Counter|Gauge|Histogram|Summary)\(\s*\"(\w+)\",\s*\"[^\"]+\"(?:,\s*(\[[^\]]*\]))?"
)


def defined() -> dict[str, list[str]]:
    """Every metric with its labels, as the sources make it."""
    sources = [*(ROOT / "services").rglob("*.py"), *(ROOT / "shared").rglob("*.py")]
    found = [metric for file in sources for metric in DEFINED.findall(read(file))]
    return {name.removesuffix("_total"): re.findall(r'"(\w+)"', labels) for name, labels in found}


def metrics() -> dict[str, list[str]]:
    [table] = tables_headed(read(ROOT / "docs" / "metrics.md"), "metric")
    return {row[0].strip("`"): spans(row[2]) for row in table.rows}


def test_the_table_names_every_metric_and_no_other() -> None:
    # The SDK's own are held against it in tests/shared/telemetry.
    assert {name for name in metrics() if not name.startswith("temporal_")} == set(defined())


def test_the_table_names_the_labels() -> None:
    ours = defined()
    unknown = {
        name: labels for name, labels in metrics().items() if ours.get(name, labels) != labels
    }

    assert unknown == {}


FOLDER = ROOT / "compose" / "observability"
METRIC = re.compile(r"\b((?:genvideo|mock)_\w+)(?:\{([^}]*)\})?")
# What Prometheus makes of a histogram.
PARTS = ("bucket", "count", "sum")


def expressions() -> list[str]:
    """What alerts and dashboard ask Prometheus for."""
    [group] = yaml.safe_load(read(FOLDER / "alerts.yml"))["groups"]
    panels = json.loads(read(FOLDER / "dashboard.json"))["panels"]
    shown = [target["expr"] for panel in panels for target in panel["targets"]]
    return [*(rule["expr"] for rule in group["rules"]), *shown]


def test_alerts_and_dashboard_ask_for_what_there_is() -> None:
    counted = {
        name + behind: labels
        for name, labels in defined().items()
        for behind in ("", "_total", *(f"_{part}" for part in PARTS if name.endswith("_seconds")))
    }
    asked = [found for text in expressions() for found in METRIC.findall(text)]

    assert len(asked) > 20
    assert [name for name, _ in asked if name not in counted] == []
    assert [
        (name, label)
        for name, matchers in asked
        for label in re.findall(r"(\w+)\s*[=!]", matchers)
        if label not in counted[name]
    ] == []


@pytest.mark.parametrize("page", ["troubleshooting.md", "metrics.md"])
def test_the_pages_that_alerts_point_to_are_there(page: str) -> None:
    assert f"docs/{page}" in read(FOLDER / "alerts.yml")
    assert (ROOT / "docs" / page).exists()


def test_every_alert_is_explained() -> None:
    [group] = yaml.safe_load(read(FOLDER / "alerts.yml"))["groups"]
    [table] = tables_headed(read(ROOT / "docs" / "metrics.md"), "alert")

    assert [row[0].strip("`") for row in table.rows] == [rule["alert"] for rule in group["rules"]]
