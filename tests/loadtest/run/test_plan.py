"""A plan is right in everything, or every mistake in it is named."""

import pytest

from loadtest.run.plan import LADDER, Options, PlanError


def test_the_ladder() -> None:
    plan = Options(stages="ladder").plan()

    assert plan.stages == LADDER
    assert plan.jobs == 186
    assert plan.offset(99) == 0


def test_an_open_loop_plans_each_instant() -> None:
    plan = Options(stages="10", rate="90/min").plan()

    assert [plan.offset(n) for n in (0, 3, 9)] == [0, 2, 6]


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"stages": "1,,5"}, "whole number"),
        ({"stages": "-1"}, "not between"),
        ({"stages": "1", "seed": "x"}, "--seed"),
        ({"stages": "1", "seed": "9" * 40}, "--seed"),
        ({"stages": "1", "seed": "-" + "9" * 19}, "--seed"),
        ({"stages": "1", "rate": "0"}, "--rate"),
        ({"stages": "1", "rate": "9" * 400}, "--rate"),
        ({"stages": "1", "rate": "0.0000001"}, "--rate"),
        ({"stages": "1", "faults": ("[" * 100_000,)}, "not JSON"),
        ({"stages": "1", "stall": "soon"}, "--stall"),
        ({"stages": "1", "concurrency": "0"}, "--concurrency"),
        ({"stages": "1", "on_video_failure": "cry"}, "--on-video-failure"),
        ({"stages": "1", "faults": ("{",)}, "not JSON"),
        ({"stages": "1", "faults": ("[]",)}, "not an object"),
        ({"stages": "1", "presets": ("x",), "mocked": False}, "mocks are off"),
        ({"stages": "19", "thresholds": ("p95<1",)}, "20 jobs or more"),
    ],
)
def test_a_mistake_is_named(arguments: dict[str, object], word: str) -> None:
    mocked = bool(arguments.pop("mocked", True))
    options = Options.model_validate(arguments)

    with pytest.raises(PlanError, match=word):
        options.plan(mocked=mocked)


def test_all_mistakes_are_named_together() -> None:
    with pytest.raises(PlanError) as caught:
        Options(stages="a", rate="b", timeout="c", thresholds=("d", "e")).plan()

    assert len(caught.value.problems) == 5
