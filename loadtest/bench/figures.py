"""What a benchmark found: a value for each run, and its ratio to the plain hop of that run."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median

from pydantic import BaseModel, ConfigDict

SUFFIX = ".figures.json"


class Figure(BaseModel):
    """One line of the table; `hops` holds the plain hop of each run, in the unit of `values`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    part: str
    name: str
    unit: str
    values: tuple[float, ...]
    hops: tuple[float, ...] = ()

    @property
    def value(self) -> float:
        """The median of the runs."""
        return median(self.values)

    @property
    def in_hops(self) -> float | None:
        """The median of each run's ratio to its own plain hop."""
        if not self.hops:
            return None
        return median(value / hop for value, hop in zip(self.values, self.hops, strict=True))


def write(folder: Path, part: str, figures: Sequence[Figure]) -> None:
    """Keep a part's figures until the table is made of all parts."""
    text = json.dumps([figure.model_dump() for figure in figures], indent=1)
    (folder / f"{part}{SUFFIX}").write_text(text + "\n", encoding="utf-8")


def read(folder: Path, parts: Iterable[str]) -> list[Figure]:
    """The figures of those parts that there are, in this order."""
    files = [folder / f"{part}{SUFFIX}" for part in parts]
    return [
        Figure.model_validate(row)
        for file in files
        if file.is_file()
        for row in json.loads(file.read_text(encoding="utf-8"))
    ]


def milliseconds(seconds: Iterable[float]) -> tuple[float, ...]:
    return tuple(round(value * 1000, 2) for value in seconds)
