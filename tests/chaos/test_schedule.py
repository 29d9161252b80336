"""Schedules: the same seed strikes the same, and nothing of the deck is left out."""

from collections import Counter
from dataclasses import replace

from tests.chaos.schedule import (
    AS_PROCESSES,
    FROZEN_LONG,
    HELD,
    IMAGE_WIRE,
    IN_CONTAINERS,
    LONGEST,
    ON_VENDORS_WIRE,
    VIDEO_WIRE,
    WIRE,
    Kind,
    Stage,
    schedule,
)
from tests.chaos.vendor_wire import Route


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
    wires = (WIRE, IMAGE_WIRE, VIDEO_WIRE)
    assert set(AS_PROCESSES) - set(IN_CONTAINERS) == {
        hit for hit in AS_PROCESSES if hit.target in wires or hit.stage in HELD
    }


def test_everything_is_done_on_every_route_to_either_vendor() -> None:
    routes = set(Route) - {Route.OTHER}
    wanted = {
        (kind, target, route)
        for kind in ON_VENDORS_WIRE
        for target in (IMAGE_WIRE, VIDEO_WIRE)
        for route in routes
    }
    assert {(hit.kind, hit.target, hit.route) for hit in AS_PROCESSES if hit.route} == wanted


def test_a_length_that_is_given_is_kept_and_moves_nothing_else() -> None:
    strikes = schedule(7, seconds=10_000, deck=AS_PROCESSES, pause=4)
    long = {hit for hit in AS_PROCESSES if hit.seconds == FROZEN_LONG}
    assert {strike.hit for strike in strikes if strike.seconds == FROZEN_LONG} == long
    assert FROZEN_LONG > 2 * LONGEST

    drawn = tuple(replace(hit, seconds=None) for hit in AS_PROCESSES)
    without = schedule(7, seconds=10_000, deck=drawn, pause=4)
    fixed = {strike.number for strike in strikes if strike.hit.seconds}
    assert [replace(it, hit=drawn[0]) for it in strikes if it.number not in fixed] == [
        replace(it, hit=drawn[0]) for it in without if it.number not in fixed
    ]
