"""The judge convicts broken builds of the product by name: a sample here, all by `make mutants`."""

from pathlib import Path

import pytest

from tests.mutants.__main__ import EVERY, MUTANTS, SOUND, described, main
from tests.mutants.mutant import edited
from tests.mutants.trial import outcomes

# One at a time, a drain before the next job, nothing paid twice, every callback accounted for, the
# right file, the right end; and the product as it is.
SAMPLE = (
    "two-holders",
    "drain-skipped",
    "good-video-paid-again",
    "hash-wrong",
    "shadow-job",
    "end-signalled-twice",
    "receipt-invented",
    "file-of-another-job",
    "picture-of-another-job",
    "failed-where-degraded-was-asked-for",
    "sound-plain",
)


def test_edits_of_each_mutant_still_apply() -> None:
    for mutant in MUTANTS:
        assert edited(mutant), mutant.name


def test_each_mutant_is_convicted_or_harmless() -> None:
    names = [mutant.name for mutant in (*SOUND, *MUTANTS)]
    assert len(names) == len(set(names)) == len(EVERY)
    for mutant in EVERY.values():
        assert bool(mutant.rule) != bool(mutant.harmless), mutant.name


def test_unknown_name_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["--only", "two-holders,nope"])
    said = capsys.readouterr()
    assert not said.out
    assert "no such mutant: nope;" in said.err


@pytest.mark.stack
@pytest.mark.timeout(1800)
async def test_mutants_are_convicted_as_expected(tmp_path: Path) -> None:
    tried = [each async for each in outcomes([EVERY[name] for name in SAMPLE], tmp_path)]
    assert [described(each) for each in tried if not each.is_as_expected] == []
    assert len(tried) == len(SAMPLE)
