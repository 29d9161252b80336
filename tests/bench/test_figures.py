"""Medians, ratios and bounds; what is written is read again."""

import json
from pathlib import Path

import pytest

from tests.bench.pipeline import table
from tests.bench.pipeline.figures import Figure, Part, read, write
from tests.bench.pipeline.targets import met


def figure(**changes: object) -> Figure:
    known = {"part": "handover", "name": "hand-over, p50", "unit": "ms", "values": (9.0, 8.0, 30.0)}
    return Figure.model_validate(known | changes)


def test_the_value_is_the_median_of_the_runs() -> None:
    assert figure().value == 9


def test_each_run_stands_beside_its_own_plain_hop() -> None:
    assert figure(hops=(10.0, 4.0, 10.0)).in_hops == 2
    assert figure().in_hops is None


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"hops": (9.0, 9.0, 30.0)}, True),
        ({"hops": (1.5, 1.5, 1.5)}, False),
        ({"part": "flood", "name": "a turn in the flood / in peace", "values": (1.3,)}, False),
        ({"part": "waiting", "name": "memory of worker, 100 waiting", "unit": "MB"}, None),
        (
            {"part": "takeover", "name": "image running: next step", "unit": "s", "values": (1.9,)},
            True,
        ),
        ({"part": "intake", "name": "requests taken in by the semaphore, in bulk"}, False),
        (
            {
                "part": "intake",
                "name": "requests taken in by the semaphore, in bulk",
                "values": (151.0,),
            },
            True,
        ),
    ],
)
def test_bounds(changes: dict[str, object], expected: bool | None) -> None:
    assert met(figure(**changes)) is expected


def test_a_take_over_is_judged_by_its_worst_run() -> None:
    values = {
        "part": "takeover",
        "name": "image running: next step",
        "unit": "s",
        "values": (1.0, 2.1),
    }

    assert met(figure(**values)) is True
    assert met(figure(**values, worst=True)) is False


def test_the_table_says_what_was_missed(tmp_path: Path) -> None:
    slow = figure(values=(31.0,), hops=(5.0,))
    table.write(tmp_path, [slow], {"cores": 2})
    page = (tmp_path / "bench.md").read_text()

    assert "| handover: hand-over, p50 | 31 ms (missed) | 6.2 | ≤ 4.5 plain hops |" in page
    assert "- cores: 2" in page
    assert table.text([slow]).splitlines()[1].startswith("handover: hand-over, p50  31 ms (missed)")
    [row] = json.loads((tmp_path / "bench.json").read_text())["figures"]
    assert (row["values"], row["median"], row["in_hops"], row["met"]) == ([31.0], 31.0, 6.2, False)


def test_parts_are_read_in_the_order_asked_for(tmp_path: Path) -> None:
    part = Part(environment={"cores": 2}, figures=(figure(hops=(1.0, 2.0, 3.0)),))
    for name in ("b", "a"):
        write(tmp_path, name, part)

    assert read(tmp_path, ["a", "missing", "b"]) == {"a": part, "b": part}
    assert list(read(tmp_path, ["b", "a"])) == ["b", "a"]
