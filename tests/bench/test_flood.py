"""The lines of a flood of new jobs."""

from tests.bench.pipeline import flood
from tests.bench.pipeline.flood import Flood
from tests.bench.pipeline.targets import met


def test_turns_in_the_flood_are_compared_with_those_before_it() -> None:
    lines = {figure.name: figure for figure in flood.figures(Flood((1.0, 3.0), (2.0, 4.0), 20), 50)}

    assert lines["a turn in peace, mean"].value == 2
    assert lines["a turn while 50 new jobs come in, mean"].value == 3
    assert lines["a turn in the flood / in peace"].value == 1.5
    assert met(lines["a turn in the flood / in peace"]) is False
    assert lines["new jobs queued"].value == 20
