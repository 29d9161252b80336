"""A pace is what its time-outs say; a beat may be late or lost."""

from datetime import timedelta

import pytest

from shared.temporal.pace import Pace, between_beats


@pytest.mark.parametrize("pace", Pace)
def test_of_two_beats_one_may_be_lost(pace: Pace) -> None:
    for timeout in (pace.times.work, pace.times.wait, pace.times.watch):
        assert 2 * between_beats(timeout) < timeout.total_seconds()


def test_who_is_far_is_waited_for_longer_and_asked_less_often() -> None:
    near, far = vars(Pace.FAST.times), vars(Pace.CLOUD.times)
    assert all(near[name] < far[name] for name in near)


@pytest.mark.parametrize("pace", Pace)
def test_a_look_comes_as_soon_as_it_says_though_one_is_taken_with_a_question_alone(
    pace: Pace,
) -> None:
    assert pace.times.look % pace.times.care == timedelta(0)


def test_without_a_time_out_there_are_still_beats_now_and_then() -> None:
    assert between_beats(None) == between_beats(timedelta(seconds=60))
