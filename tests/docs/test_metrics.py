"""Every metric of ours stands in the table, and the table names no other."""

import re

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
    assert set(listed()) == set(defined())


def test_the_table_names_the_labels() -> None:
    unknown = {name: labels for name, labels in listed().items() if labels != defined()[name]}

    assert unknown == {}


def test_a_definition_over_several_lines_is_seen() -> None:
    text = 'Counter(\n    "x_total",\n    "what",\n    ["a", "b"],\n)'

    assert DEFINED.findall(text) == [("x_total", '["a", "b"]')]
