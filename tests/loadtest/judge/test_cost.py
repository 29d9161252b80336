"""What so many jobs a day would cost, by the run's own count and the prices that it was told."""

from collections import Counter
from pathlib import Path

import pytest

from loadtest.books import raw
from loadtest.books.load import load
from loadtest.judge.judge import judge
from loadtest.judge.measures.cost import Cost, cost
from loadtest.prices import Prices
from loadtest.report.blocks import Notice, Table
from loadtest.report.sections.hosted import blocks
from loadtest.run.plan import Options
from tests.loadtest.synthetic import Synthetic


@pytest.fixture
def run(tmp_path: Path) -> Synthetic:
    return Synthetic(tmp_path, plan=Options(stages="2", seed="7").plan()).write()


def told(run: Synthetic, begin: dict[str, int], end: dict[str, int]) -> None:
    """The server's count at both ends."""
    moments = {"begin": begin, "end": end}
    run.add(raw.ACTIONS, [{"moment": m, "counts": counts} for m, counts in moments.items()])


def test_the_servers_count_of_the_run_is_shared_by_its_jobs(run: Synthetic) -> None:
    heartbeat, change = "grpc_RecordActivityTaskHeartbeat", "command_ModifyWorkflowProperties"
    told(run, {heartbeat: 5, change: 1}, {heartbeat: 25, change: 9, "command_StartTimer": 4})
    found = cost(load(run.folder))

    assert (found.jobs, found.heartbeats, found.actions) == (2, 10.0, 12.0)


@pytest.mark.parametrize("end", [{"command_StartTimer": 1}, None])
def test_without_the_servers_count_the_histories_say_the_least(
    run: Synthetic, end: dict[str, int] | None
) -> None:
    if end is not None:
        told(run, {"command_StartTimer": 3}, end)
    found = cost(load(run.folder))

    assert found.by_server is None
    assert found.heartbeats is None
    # One start, two signals, two activities.
    assert (found.histories, found.actions) == (2, 5.0)


def test_a_month_by_hand() -> None:
    """30 actions a job, 20 kB kept for 10 days, open for 864 s, a hundredth of a day."""
    prices = Prices(million_actions=40, gb_month_active=10, gb_month_retained=2, history_days=10)
    found = Cost(
        jobs=10,
        histories=10,
        by_server=Counter(start_timer=300),
        bytes=20_000,
        open_seconds=864,
        prices=prices,
    )
    month = found.month(1000)

    assert month.actions == 900_000
    assert month.for_actions == pytest.approx(36.0)
    assert (month.gb_active, month.gb_retained) == pytest.approx((0.0002, 0.2))
    assert month.for_storage == pytest.approx(0.402)
    assert month.dollars_a_job == pytest.approx(36.402 / 30_000)
    assert found.month(100_000).dollars == pytest.approx(3640.2)


def test_prices_are_those_that_the_run_was_told(run: Synthetic) -> None:
    run.replace(raw.RUN, run.folder.read(raw.RUN) | {"prices": {"million_actions": 25.0}})
    prices = cost(load(run.folder)).prices

    assert (prices.million_actions, prices.history_days) == (25.0, 30.0)


@pytest.mark.parametrize("told", [None, [], {"million_actions": "<b>"}, {"history_days": -1}])
def test_prices_that_are_none_are_the_published_ones(run: Synthetic, told: object) -> None:
    run.replace(raw.RUN, run.folder.read(raw.RUN) | {"prices": told})

    assert cost(load(run.folder)).prices == Prices()


def test_the_report_shows_both_counts(run: Synthetic) -> None:
    told(run, {}, {"grpc_RecordActivityTaskHeartbeat": 20, "grpc_StartWorkflowExecution": 2})
    [notice, actions] = [
        block for block in blocks(judge(run.folder)) if isinstance(block, Notice | Table)
    ][:2]

    assert isinstance(notice, Notice)
    assert notice.text.startswith("11.0 billable actions a job, 10.0 of them heartbeats")
    assert isinstance(actions, Table)
    shown = {cells[0].text: [cell.text for cell in cells[1:]] for cells in actions.rows}
    assert shown["record_activity_heartbeat"] == ["20", "10.00", "–"]
    assert shown["start_workflow"] == ["2", "1.00", "1.00"]


def test_the_report_says_what_is_not_in_it(run: Synthetic) -> None:
    [notice, actions, months] = [
        block for block in blocks(judge(run.folder)) if isinstance(block, Notice | Table)
    ]

    assert isinstance(notice, Notice)
    assert "Heartbeats and queries are not in it" in notice.text
    assert isinstance(actions, Table)
    assert [cells[1].text for cells in actions.rows] == ["–"] * len(actions.rows)
    assert isinstance(months, Table)
    assert [cells[0].text for cells in months.rows] == ["1,000", "10,000", "100,000"]
