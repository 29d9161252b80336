"""A histogram's columns hold what they say they hold, and every value is in one of them."""

import re

import pytest

from loadtest.report.charts import histogram

COLUMN = re.compile(
    r'<rect lang="en" class="(bar|beyond)" x="([\d.]+)%".*?<title>(.*?): (\d+)</title>'
)


def columns(values: list[float]) -> list[tuple[str, float, str, int]]:
    svg = histogram(values, name="gaps", caption="c").svg
    return [(kind, float(x), text, int(n)) for kind, x, text, n in COLUMN.findall(svg)]


@pytest.mark.parametrize("values", [[0.01] * 30, [place / 100 for place in range(150)], [0.0] * 20])
def test_without_an_outlier_there_is_no_column_for_any(values: list[float]) -> None:
    found = columns(values)

    assert {kind for kind, *_ in found} == {"bar"}
    assert sum(number for *_, number in found) == len(values)


def test_outliers_have_one_column_behind_a_gap_and_the_caption_says_so() -> None:
    values = [0.01 + place / 10_000 for place in range(150)] + [9.0]
    chart = histogram(values, name="gaps", caption="c.")
    *bars, last = columns(values)

    assert last[0] == "beyond"
    assert last[3] == 1
    assert "up to 9 s" in last[2]
    width = bars[1][1] - bars[0][1]
    assert last[1] - bars[-1][1] == pytest.approx(2 * width, abs=0.05)
    assert sum(number for *_, number in bars) == 150
    assert chart.caption.startswith("c. The last column, behind the gap, holds the 1 above")


def test_a_last_value_near_the_others_is_no_outlier() -> None:
    assert {kind for kind, *_ in columns([place / 100 for place in range(1, 202)])} == {"bar"}
