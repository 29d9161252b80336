"""Thresholds: what they read, what they hold, and what they say of a mistake."""

import pytest

from loadtest.judge.threshold import DEFAULTS, METRICS, Threshold, parse, with_defaults


@pytest.mark.parametrize(
    ("text", "threshold"),
    [
        ("success_rate>=99%", Threshold("success_rate", ">=", 0.99)),
        ("p95<60s", Threshold("p95", "<", 60)),
        ("vendor_idle_p50 < 100ms", Threshold("vendor_idle_p50", "<", 0.1)),
        ("makespan<=2m", Threshold("makespan", "<=", 120)),
        ("lost==0", Threshold("lost", "==", 0)),
        ("max_at_once<=limit", Threshold("max_at_once", "<=", "limit")),
    ],
)
def test_threshold_is_parsed(text: str, threshold: Threshold) -> None:
    assert parse(text) == threshold
    assert parse(threshold.text) == threshold


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("p95", "write for example"),
        ("speed<3", "unknown metric"),
        ("p95<soon", "or jobs"),
        ("p95<1.2.3", "write for example"),
        ("p95<3 parsecs", "write for example"),
        ("success_rate>=99", "at most 1, or 100%"),
    ],
)
def test_mistake_is_explained(text: str, word: str) -> None:
    with pytest.raises(ValueError, match=word):
        parse(text)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("max<12345678s", "max<12345678"),
        ("max<123456.789s", "max<123456.789"),
        ("success_rate>=0.00001", "success_rate>=0.00001"),
        ("p95<60s", "p95<60"),
    ],
)
def test_printed_threshold_is_parsed_as_the_same(text: str, written: str) -> None:
    assert parse(text).text == written
    assert parse(written) == parse(text)


def test_given_threshold_replaces_the_default_of_its_metric() -> None:
    found = with_defaults((parse("success_rate>=0.5"),))

    assert [t.text for t in found if t.metric == "success_rate"] == ["success_rate>=0.5"]
    assert len(found) == len(DEFAULTS)


@pytest.mark.parametrize(
    ("text", "measured", "holds", "margin"),
    [
        ("p95<60", 50.0, True, 10.0),
        ("p95<60", 60.0, False, 0.0),
        ("success_rate>=0.9", 0.8, False, -0.1),
        ("lost==0", 2.0, False, -2.0),
    ],
)
def test_margins(text: str, measured: float, holds: bool, margin: float) -> None:
    threshold = parse(text)
    assert isinstance(threshold.limit, float)

    assert threshold.holds(measured, threshold.limit) is holds
    assert threshold.margin(measured, threshold.limit) == pytest.approx(margin)


def test_every_default_names_a_metric() -> None:
    assert {parse(text).metric for text in DEFAULTS} <= METRICS.keys()
