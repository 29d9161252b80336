"""What a benchmark found: a value for each run, and its ratio to the plain hop of that run."""

from collections.abc import Iterable
from pathlib import Path
from statistics import fmean, median

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
