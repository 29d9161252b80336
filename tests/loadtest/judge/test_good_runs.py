"""No run of a real stack that nobody touched is convicted, whatever it was through.

Kept are those with faults of every sort, several workers, other limits, gates, jobs that were
cancelled, failed or degraded, neighbours, steady arrivals, a vendor with ids and callbacks of
another kind (fal); and one that was interrupted.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtest.judge.judge import Judgement, judge
from loadtest.judge.threshold import DEFAULTS
from loadtest.report.page import BAD, Block, Notice, Table, Tiles
from loadtest.report.write import sections
from tests.loadtest.forging.recorded import KINDS, unpack

INTERRUPTED = "interrupted"
GOOD = [kind for kind in KINDS if kind != INTERRUPTED]


def reds(judgement: Judgement) -> Iterator[str]:
    for section in sections(judgement):
        for block in section.blocks:
            for text in _reds(block):
                yield f"{section.title}: {text}"


def _reds(block: Block) -> Iterator[str]:
    match block:
        case Notice(tone=tone, text=text) if tone == BAD:
            yield text
        case Table(rows=rows):
            yield from (str(cells) for cells in rows if any(cell.tone == BAD for cell in cells))
        case Tiles(tiles=tiles):
            yield from (name for name, _, tone in tiles if tone == BAD)


def test_there_are_enough_of_them() -> None:
    assert len(GOOD) >= 20


@pytest.mark.parametrize("kind", GOOD)
def test_it_passes(kind: str, tmp_path: Path) -> None:
    judgement = judge(unpack(kind, tmp_path / kind))

    assert judgement.reasons == []
    assert judgement.passed
    assert judgement.books.seal.broken == ()
    if {condition.text for condition in judgement.conditions} == set(DEFAULTS):
        assert list(reds(judgement)) == []


def test_one_that_was_interrupted_says_so_and_nothing_else(tmp_path: Path) -> None:
    judgement = judge(unpack(INTERRUPTED, tmp_path / "run"))

    assert not judgement.passed
    assert any("the run went to its end: interrupted" in text for text in judgement.reasons)
    assert {finding.kind for finding in judgement.findings} == {"still open"}
