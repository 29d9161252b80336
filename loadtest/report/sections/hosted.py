"""The same jobs on a hosted Temporal: what would be billed, counted from this run."""

from collections import Counter

from loadtest.books.actions import FREE, HEARTBEAT
from loadtest.judge.judge import Judgement
from loadtest.judge.measures.cost import JOBS_A_DAY, Cost, Month, cost
from loadtest.prices import PUBLISHED
from loadtest.report.blocks import INFO, WARN, Block, Cell, Notice, Table, Text, row
from loadtest.times import duration

_MONTH = (
    *("#jobs a day", "#actions a month", "#for them", "#GB open", "#GB kept", "#for them"),
    *("#a month", "#1000 jobs"),
)


def blocks(judgement: Judgement) -> list[Block]:
    """The actions of this run by two counts, and what 1 000 to 100 000 such jobs a day come to."""
    found = cost(judgement.books)
    if not found.jobs:
        return []
    return [
        Notice(INFO if found.by_server is not None else WARN, _said(found)),
        Table(
            ("action", "#in this run, by the server", "#a job", "#a job, by its history"),
            _counts(found),
            "Billable actions",
        ),
        Table(
            _MONTH,
            [_month(found.month(number)) for number in JOBS_A_DAY],
            "On a hosted Temporal, in dollars",
        ),
        Text(_how(found)),
    ]


def _said(found: Cost) -> str:
    if found.by_server is None:
        return (
            f"At least {found.actions:.1f} billable actions a job. Heartbeats and queries are not "
            "in it: they are in no history, and the server's own count could not be read at both "
            "ends of this run."
        )
    return (
        f"{found.actions:.1f} billable actions a job, {found.heartbeats:.1f} of them heartbeats, "
        f"and {found.bytes / 1000:.1f} kB of history."
    )


def _counts(found: Cost) -> list[tuple[Cell, ...]]:
    server = found.by_server or Counter()
    kinds = sorted({*server, *found.by_history}, key=lambda kind: (-server.get(kind, 0), kind))
    return [
        row(
            f"{kind} (not billed)" if kind in FREE else kind,
            None if found.by_server is None else f"{server.get(kind, 0):,}",
            None if found.by_server is None else f"{server.get(kind, 0) / found.jobs:.2f}",
            _by_history(found, kind),
        )
        for kind in kinds
    ]


def _by_history(found: Cost, kind: str) -> str | None:
    """No event tells of a heartbeat or a query; the semaphore's histories are not read."""
    if kind in (HEARTBEAT, "query_workflow") or not found.histories:
        return None
    return f"{found.by_history[kind] / found.histories:.2f}"


def _month(month: Month) -> tuple[Cell, ...]:
    return row(
        f"{month.jobs_a_day:,}",
        f"{month.actions:,.0f}",
        f"{month.for_actions:,.2f}",
        f"{month.gb_active:,.3f}",
        f"{month.gb_retained:,.2f}",
        f"{month.for_storage:,.2f}",
        f"{month.dollars:,.2f}",
        f"{1000 * month.dollars_a_job:,.2f}",
    )


def _how(found: Cost) -> str:
    prices = found.prices
    return (
        f"At {prices.million_actions:g} dollars for a million actions, "
        f"{prices.gb_month_active:g} and {prices.gb_month_retained:g} for a GB that is open or "
        f"kept for a month, and histories that are kept for {prices.history_days:g} days; the "
        f"defaults are Temporal Cloud's published ones, read on {PUBLISHED}, without plan, support "
        f"and discounts. A job was open for {duration(found.open_seconds)} and at its vendors for "
        f"{duration(found.vendors_seconds)}; heartbeats grow with that time. docs/cost.md tells "
        "what counts, and what real vendors' times make of it."
    )
