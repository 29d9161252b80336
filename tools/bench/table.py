"""What a benchmark found: figures, the bounds of each, and the table of all."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median
from typing import Any

from pydantic import BaseModel, ConfigDict

SUFFIX = ".figures.json"


class Figure(BaseModel):
    """One line of the table; `hops` holds the plain hop of each run, in the unit of `values`.

    `worst` says that bounds hold for each single run, not for the median alone; `mean` that runs
    are averaged, since parts add up only then.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    part: str
    name: str
    unit: str
    values: tuple[float, ...]
    hops: tuple[float, ...] = ()
    worst: bool = False
    mean: bool = False

    @property
    def value(self) -> float:
        """The median of the runs, or their mean."""
        return fmean(self.values) if self.mean else median(self.values)

    @property
    def judged(self) -> float:
        """What is held against the bounds."""
        return max(self.values) if self.worst else self.value

    @property
    def in_hops(self) -> float | None:
        """The median of each run's ratio to its own plain hop."""
        if not self.hops:
            return None
        return median(value / hop for value, hop in zip(self.values, self.hops, strict=True))


class Part(BaseModel):
    """One part's figures, and on what they were taken."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    environment: dict[str, str | int | float]
    figures: tuple[Figure, ...]


def write(folder: Path, name: str, part: Part) -> None:
    """Keep a part's figures until the table is made of all parts."""
    text = part.model_dump_json(indent=1)
    (folder / f"{name}{SUFFIX}").write_text(text + "\n", encoding="utf-8")


def read(folder: Path, names: Iterable[str]) -> dict[str, Part]:
    """Those parts that there are, in this order."""
    files = {name: folder / f"{name}{SUFFIX}" for name in names}
    return {
        name: Part.model_validate_json(file.read_text(encoding="utf-8"))
        for name, file in files.items()
        if file.is_file()
    }


def milliseconds(seconds: Iterable[float]) -> tuple[float, ...]:
    return tuple(round(value * 1000, 2) for value in seconds)


@dataclass(frozen=True, slots=True)
class Target:
    """Bounds of a figure and of its ratio to the plain hop; `least` turns them round."""

    required: float | None = None
    aim: float | None = None
    required_hops: float | None = None
    aim_hops: float | None = None
    least: bool = False


TAKE_OVER = Target(required=2, aim=1.5)
TARGETS = {
    ("handover", "hand-over, p50"): Target(required_hops=4.5, aim_hops=3.5),
    ("handover", "idle of the vendor, p50"): Target(required_hops=7.5, aim_hops=6),
    ("waiting", "hand-over, 10 000 waiting / 100 waiting"): Target(required=1.1),
    ("flood", "a turn in the flood / in peace"): Target(required=1.25),
    ("throughput", "jobs / bare workflows, 50 at once"): Target(required=0.3, least=True),
    ("throughput", "jobs / bare workflows, 1 at once"): Target(required=0.3, least=True),
    ("intake", "requests taken in by the semaphore, in bulk"): Target(150, 500, least=True),
}


def target(figure: Figure) -> Target:
    """The bounds of a figure; none where nothing was promised."""
    if figure.part == "takeover" and figure.unit == "s":
        return TAKE_OVER
    return TARGETS.get((figure.part, figure.name), Target())


def reached(figure: Figure) -> bool | None:
    """Whether what is required is reached; None where nothing is."""
    bounds = target(figure)
    known = [(figure.judged, bounds.required), (figure.in_hops, bounds.required_hops)]
    held = [(v >= b) if bounds.least else (v <= b) for v, b in known if v is not None and b]
    return all(held) if held else None


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
        _measured(figure) + _MARKS[reached(figure)],
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


def write_table(folder: Path, figures: Sequence[Figure], environment: dict[str, Any]) -> None:
    """`bench.json` with every single value, `bench.md` with the table."""
    found = [
        figure.model_dump()
        | {"median": figure.value, "in_hops": figure.in_hops, "reached": reached(figure)}
        for figure in figures
    ]
    body = {"environment": environment, "figures": found}
    (folder / "bench.json").write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")
    (folder / "bench.md").write_text(markdown(figures, environment), encoding="utf-8")
