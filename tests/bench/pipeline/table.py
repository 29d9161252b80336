"""The table of a benchmark: text for the terminal, Markdown for people, JSON for programs."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.bench.pipeline.figures import Figure
from tests.bench.pipeline.targets import met, target

HEADER = ("figure", "measured", "plain hops", "required", "aim", "runs")
_READING = "Medians of the runs; what is called a mean is their mean, so that parts add up."
_MARKS = {True: "", False: " (missed)", None: ""}


def rows(figures: Sequence[Figure]) -> list[tuple[str, ...]]:
    """A line for each figure."""
    return [(f"{f.part}: {f.name}", *_cells(f)) for f in figures]


def _cells(figure: Figure) -> tuple[str, ...]:
    bounds, ratio = target(figure), figure.in_hops
    sign = "≥" if bounds.least else "≤"
    return (
        _measured(figure) + _MARKS[met(figure)],
        number(ratio) if ratio is not None else "",
        _bound(bounds.required, bounds.required_hops, sign, unit=figure.unit),
        _bound(bounds.aim, bounds.aim_hops, sign, unit=figure.unit),
        str(len(figure.values)),
    )


def _measured(figure: Figure) -> str:
    value = f"{number(figure.value)} {figure.unit}".strip()
    return f"{value}, worst {number(max(figure.values))}" if figure.worst else value


def _bound(value: float | None, hops: float | None, sign: str, *, unit: str) -> str:
    words = [f"{sign} {number(value)} {unit}".strip()] if value is not None else []
    words += [f"{sign} {number(hops)} plain hops"] if hops is not None else []
    return ", ".join(words)


def number(value: float) -> str:
    """Three digits that matter."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def text(figures: Sequence[Figure]) -> str:
    lines = [HEADER, *rows(figures)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def markdown(figures: Sequence[Figure], environment: dict[str, Any]) -> str:
    lines = [HEADER, ("---",) * len(HEADER), *rows(figures)]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    known = "\n".join(f"- {name}: {value}" for name, value in environment.items())
    return f"# Benchmark\n\n{table}\n\n{_READING}\n\n{known}\n"


def write(folder: Path, figures: Sequence[Figure], environment: dict[str, Any]) -> None:
    """`bench.json` with every single value, `bench.md` with the table."""
    found = [
        figure.model_dump()
        | {"median": figure.value, "in_hops": figure.in_hops, "met": met(figure)}
        for figure in figures
    ]
    body = {"environment": environment, "figures": found}
    (folder / "bench.json").write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")
    (folder / "bench.md").write_text(markdown(figures, environment), encoding="utf-8")
