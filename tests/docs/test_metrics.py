"""Every metric of ours stands in the table, and table, alerts and dashboard name no other."""

import json
import re

import pytest
import yaml  # type: ignore[import-untyped]

from tests.docs.pages import ROOT, read, spans, tables_headed

DEFINED = re.compile(
    r"\b(?:Counter|Gauge|Histogram|Summary)\(\s*\"(\w+)\",\s*\"[^\"]+\"(?:,\s*(\[[^\]]*\]))?"
)


def defined() -> dict[str, list[str]]:
    """Every metric with its labels, as the sources make it."""
    sources = [*(ROOT / "services").rglob("*.py"), *(ROOT / "shared").rglob("*.py")]
    found = [metric for file in sources for metric in DEFINED.findall(read(file))]
    return {name.removesuffix("_total"): re.findall(r'"(\w+)"', labels) for name, labels in found}


def listed() -> dict[str, list[str]]:
    [table] = tables_headed(read(ROOT / "docs" / "architecture.md"), "metric")
    return {row[0].strip("`"): spans(row[2]) for row in table.rows}


def test_the_table_names_every_metric_and_no_other() -> None:
    # The SDK's own are held against it in tests/shared/telemetry.
    assert {name for name in listed() if not name.startswith("temporal_")} == set(defined())


def test_the_table_names_the_labels() -> None:
    ours = defined()
    unknown = {
        name: labels for name, labels in listed().items() if ours.get(name, labels) != labels
    }

    assert unknown == {}


def test_a_definition_over_several_lines_is_seen() -> None:
    text = 'Counter(\n    "x_total",\n    "what",\n    ["a", "b"],\n)'

    assert DEFINED.findall(text) == [("x_total", '["a", "b"]')]


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


@pytest.mark.parametrize("page", ["troubleshooting.md", "operating.md"])
def test_the_pages_that_alerts_point_to_are_there(page: str) -> None:
    assert f"docs/{page}" in read(FOLDER / "alerts.yml")
    assert (ROOT / "docs" / page).exists()


def test_every_alert_is_explained() -> None:
    [group] = yaml.safe_load(read(FOLDER / "alerts.yml"))["groups"]
    [table] = tables_headed(read(ROOT / "docs" / "operating.md"), "alert")

    assert [row[0].strip("`") for row in table.rows] == [rule["alert"] for rule in group["rules"]]
