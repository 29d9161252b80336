"""Schedules: the same seed strikes the same, and nothing of the deck is left out."""

from collections import Counter
from dataclasses import replace

from tests.chaos.schedule import AS_PROCESSES, HELD, IN_CONTAINERS, WIRE, Kind, Stage, schedule


def test_schedule_follows_from_the_seed_and_uses_each_strike_once_a_round() -> None:
    first, again, other = (
        schedule(seed, seconds=10_000, deck=AS_PROCESSES, pause=4) for seed in (7, 7, 8)
    )
    deck = len(AS_PROCESSES)

    assert first == again
    assert first != other
    assert schedule(7, seconds=60, deck=AS_PROCESSES, pause=4) == [s for s in first if s.at <= 60]
    for dealt in (first[:deck], first[deck : 2 * deck]):
        assert Counter(strike.hit for strike in dealt) == Counter(AS_PROCESSES)


def test_deck_has_every_kind_and_every_stage() -> None:
    assert {hit.kind for hit in AS_PROCESSES} == set(Kind)
    assert {hit.stage for hit in AS_PROCESSES if hit.stage} == set(Stage)
    assert set(AS_PROCESSES) - set(IN_CONTAINERS) == {
        hit for hit in AS_PROCESSES if hit.target == WIRE or hit.stage in HELD
    }


def test_given_length_changes_nothing_else() -> None:
    drawn = tuple(replace(hit, seconds=None) for hit in AS_PROCESSES)
    given, without = (
        schedule(7, seconds=10_000, deck=deck, pause=4) for deck in (AS_PROCESSES, drawn)
    )

    assert [(strike.number, strike.at) for strike in given] == [
        (strike.number, strike.at) for strike in without
    ]
