"""Services, ports, metrics and alerts: the tables are those of code, stack and compose files."""

import json
import re

import yaml  # type: ignore[import-untyped]

from compose.stack import services
from tests.docs.pages import ROOT, read, section, spans, tables, tables_headed

PUBLISHED = re.compile(r"(?:[^:]+|\$\{[A-Z_]+:-[\d.]+\}):\$\{[A-Z_]+:-(\d+)\}:\1")


def test_documented_ports_match_stack_and_compose_files() -> None:
    [table] = tables(section(read(ROOT / "docs" / "operating.md"), "Services and ports"))
    told = {(row[0].strip("`"), row[1]) for row in table.rows}
    inner = {(each.name, str(each.inner)) for each in services.ALL if each.inside}
    compose: dict[str, dict[str, list[str]]] = {}
    for name in ("compose", "mocks"):
        compose |= yaml.safe_load(read(ROOT / "compose" / f"{name}.yaml"))["services"]
    published = {
        (name, found[1])
        for name, body in compose.items()
        for port in body.get("ports", [])
        if (found := PUBLISHED.fullmatch(port))
    }
    ours = {(each.name, str(each.inner)) for each in services.ALL}

    assert ours | {(services.TEMPORAL.name, str(services.UI_INNER))} == published | inner
    assert told == published | inner | {("loadtest", "–")}
    assert {service for service, _ in told} == set(compose)


DEFINED = re.compile(
    r"\b(?:[Cc]ounter|Gauge|Histogram|Summary)\(\s*\"(\w+)\",\s*\"[^\"]+\"(?:,\s*(\[[^\]]*\]))?"
)


def defined() -> dict[str, list[str]]:
    """Every metric with its labels, as the sources make it."""
    sources = [*(ROOT / "services").rglob("*.py"), *(ROOT / "shared").rglob("*.py")]
    found = [metric for file in sources for metric in DEFINED.findall(read(file))]
    return {name.removesuffix("_total"): re.findall(r'"(\w+)"', labels) for name, labels in found}


def metrics() -> dict[str, list[str]]:
    [table] = tables_headed(read(ROOT / "docs" / "metrics.md"), "metric")
    return {row[0].strip("`"): spans(row[2]) for row in table.rows}


def test_table_lists_exactly_the_metrics() -> None:
    # The SDK's own are held against it in tests/shared/telemetry.
    assert {name for name in metrics() if not name.startswith("temporal_")} == set(defined())


def test_table_lists_the_labels() -> None:
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


def test_alerts_and_dashboard_use_existing_metrics() -> None:
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


def test_every_alert_is_explained() -> None:
    [group] = yaml.safe_load(read(FOLDER / "alerts.yml"))["groups"]
    [table] = tables_headed(read(ROOT / "docs" / "metrics.md"), "alert")

    assert [row[0].strip("`") for row in table.rows] == [rule["alert"] for rule in group["rules"]]
