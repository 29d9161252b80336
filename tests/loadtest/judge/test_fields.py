"""The table of fields names every field of every raw file, and what it says to be held is held."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from loadtest.books import raw
from loadtest.books.raw import Damaged, RunFolder
from loadtest.judge.callbacks import LATER, NOTES
from loadtest.judge.fields import FIELDS, UNVERIFIED, held, line
from loadtest.judge.judge import judge
from loadtest.times import instant
from services.mock_core.faults.kinds import KINDS as KINDS_OF_FAULTS
from tests.loadtest.forging.kit import Forger, convictions
from tests.loadtest.forging.recorded import KINDS, PLAIN, unpack
from tests.loadtest.synthetic import exactly, put

FILES = [name for name in FIELDS if name != raw.FOREIGN]
OTHER = {raw.FAULTS: "everything-at-once", raw.PROCESSES: "hopeless-generations"}
"""Which run has faults, and which knows the code of its services."""


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, tuple[str | int, ...]]]:
    """Each field of a row: its name in the table, and the way to it."""
    if isinstance(value, dict):
        for key, below in value.items():
            for name, way in leaves(below, f"{path}.{key}" if path else key):
                yield name, (key, *way)
    elif isinstance(value, list) and all(isinstance(each, dict) for each in value):
        for place, below in enumerate(value):
            for name, way in leaves(below, f"{path}[]"):
                yield name, (place, *way)
    else:
        yield path, ()


def rows(folder: RunFolder, name: str) -> list[Any]:
    if name.endswith(".json"):
        return [folder.read(name)]
    return list(folder.rows(name))


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_of_every_file_is_in_the_table(kind: str, tmp_path: Path) -> None:
    folder = unpack(kind, tmp_path / kind)
    known = {path.name for path in folder.raw.iterdir()}
    unknown = {
        f"{name}: {field}"
        for name in known
        for row in rows(folder, name)
        for field, _ in leaves(row)
        if held(name, field) is None
    }

    assert known <= set(FIELDS)
    assert unknown == set()


def fields(name: str) -> list[str]:
    return [path for path, found in FIELDS[name].items() if found.how != UNVERIFIED]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, RunFolder]:
    place = tmp_path_factory.mktemp("runs")
    return {kind: unpack(kind, place / kind) for kind in (PLAIN, *OTHER.values())}


@pytest.mark.parametrize("name", FILES)
def test_every_held_field_is_judged(runs: dict[str, RunFolder], name: str, tmp_path: Path) -> None:
    """Each held field is changed once in a finished run, which is sealed again."""
    believed = []
    folder = runs[OTHER.get(name, PLAIN)]
    for number, field in enumerate(fields(name)):
        forger = Forger(folder, tmp_path / str(number), seed=1)
        there = rows(forger.folder, name)
        ways = [
            (place, way)
            for place, row in enumerate(there)
            for path, way in leaves(row)
            if line(name, path) == field
        ]
        if not ways:
            continue
        place, way = ways[len(ways) // 2]
        put(there[place], *way[:-1], **{str(way[-1]): _other})
        if name.endswith(".json"):
            forger.folder.write(name, there[0])
        else:
            forger.put(name, there)
        forger.seal()
        if not _convicted(forger.folder):
            believed.append(f"{field} ({json.dumps(way)})")

    assert believed == []


def _other(value: Any) -> Any:
    """Another value of the same kind: an instant is an hour off."""
    match value:
        case bool():
            return not value
        case int() | float():
            return value + (3600 if value > 1e8 else 7)
        case str():
            at = instant(value) if value[:2] == "20" and "T" in value else None
            return exactly(at + 3600) if at is not None else f"{value}x"
        case None:
            return "x"
        case list():
            return ["job-ffffffffffffffffffffffff"]
    return {"x": 1}


def _convicted(folder: RunFolder) -> bool:
    try:
        return bool(convictions(judge(folder)))
    except Damaged:
        return True


def test_each_fault_of_a_callback_is_known() -> None:
    """A mock notes it, or it shows in how often and when the callback was sent."""
    met = {name.partition(".")[2] for name in KINDS_OF_FAULTS if name.startswith("callback.")}

    assert met == NOTES.keys() | LATER | {"lose", "repeat", "envelope"}
