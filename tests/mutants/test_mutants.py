"""Each mutant can be made, and says what is expected of the judge."""

from tests.mutants.__main__ import EVERY, MUTANTS, SOUND
from tests.mutants.mutant import edited


def test_the_edits_of_each_mutant_still_apply() -> None:
    for mutant in MUTANTS:
        assert edited(mutant), mutant.name


def test_each_mutant_is_convicted_or_harmless() -> None:
    names = [mutant.name for mutant in (*SOUND, *MUTANTS)]
    assert len(names) == len(set(names)) == len(EVERY)
    for mutant in EVERY.values():
        assert bool(mutant.rule and mutant.jobs) != bool(mutant.harmless), mutant.name
