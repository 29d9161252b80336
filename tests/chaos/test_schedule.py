"""Schedules: the same seed strikes the same, and nothing of the deck is left out."""

from collections import Counter

from tests.chaos.schedule import AS_PROCESSES, IN_CONTAINERS, WIRE, Kind, Stage, schedule


def test_a_seed_is_a_schedule() -> None:
    first, again, other = (
        schedule(seed, seconds=300, deck=AS_PROCESSES, pause=4) for seed in (7, 7, 8)
    )

    assert first == again
    assert first != other


def test_it_is_over_when_the_time_is_and_begins_alike_however_long() -> None:
    short = schedule(7, seconds=60, deck=AS_PROCESSES, pause=4)
    long = schedule(7, seconds=600, deck=AS_PROCESSES, pause=4)

    assert long[: len(short)] == short
    assert 0 < short[0].at < short[-1].at <= 60


def test_each_hit_comes_once_before_any_comes_again() -> None:
    strikes = schedule(7, seconds=10_000, deck=AS_PROCESSES, pause=4)
    deck = len(AS_PROCESSES)

    assert Counter(strike.hit for strike in strikes[:deck]) == Counter(AS_PROCESSES)
    assert Counter(strike.hit for strike in strikes[deck : 2 * deck]) == Counter(AS_PROCESSES)


def test_every_kind_and_every_stage_is_in_the_deck() -> None:
    assert {hit.kind for hit in AS_PROCESSES} == set(Kind)
    assert {hit.stage for hit in AS_PROCESSES if hit.stage} == set(Stage)
    assert set(AS_PROCESSES) - set(IN_CONTAINERS) == {
        hit for hit in AS_PROCESSES if hit.target == WIRE
    }
