"""Each rule is broken once in the books of a healthy run, and is then named, and no other."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from loadtest.books import raw
from loadtest.books.load import load
from tests.chaos.evidence import Done, read, write
from tests.chaos.forged import FIRST, SECOND, THIRD, Row, broken, evidence, of
from tests.chaos.judgement import Rule, violations
from tests.loadtest.synthetic import GAP, Synthetic


def test_a_healthy_run_breaks_no_rule(run: Synthetic) -> None:
    assert violations(evidence(run)) == []


def record(**fields: object) -> Callable[[Row], object]:
    return lambda row: row["record"].update(fields)


def early(row: Row) -> None:
    """Granted while the job before it still ran."""
    row["granted"] -= 3 * GAP


def early_image(row: Row) -> None:
    row["accepted_at"] -= 3 * GAP


def again(rows: list[Row]) -> None:
    """The first image is made, and paid for, a second time; at once after itself."""
    twin = dict(rows[0], job_id="twin", accepted_at=rows[0]["finished_at"])
    rows.append(twin | {"finished_at": twin["accepted_at"] + 0.001})


def last_first(rows: list[Row]) -> None:
    """The third job has the slot before the second, which had asked long before."""
    second, third = rows[1], rows[2]
    third["started"] += 0.001
    second["granted"], third["granted"] = third["granted"], third["granted"] - 0.01
    second["closed"], third["closed"] = third["closed"], second["granted"]


def shrink(row: Row) -> None:
    row["record"]["transitions"][1]["percent"] = 7
    row["record"]["transitions"][2].update(step="image", percent=3)


def second_attempt(rows: list[Row]) -> None:
    """The last video took two attempts, and both were charged."""
    twin = dict(rows[2], job_id="twin", accepted_at=rows[2]["finished_at"])
    rows.append(twin | {"external_id": f"{THIRD}.video.2", "finished_at": twin["accepted_at"]})


BROKEN: dict[str, tuple[str, Callable[[list[Row]], object], set[Rule]]] = {
    "two at once by the histories": (raw.TEMPORAL, of(SECOND, early), {Rule.AT_ONCE}),
    "two at once by the mocks": (raw.LEDGERS["image"], of(SECOND, early_image), {Rule.AT_ONCE}),
    "an older token": (
        raw.LEDGERS["video"],
        of(SECOND, lambda row: row.update(token=0)),
        {Rule.TOKENS},
    ),
    "no token": (
        raw.LEDGERS["image"],
        of(SECOND, lambda row: row.pop("token")),
        {Rule.TOKENS},
    ),
    "no permit in the history": (
        raw.TEMPORAL,
        of(SECOND, lambda row: row.update(granted=None)),
        {Rule.PERMITTED},
    ),
    "paid twice": (raw.LEDGERS["image"], again, {Rule.PAID_ONCE, Rule.NONE_LOST}),
    "no record": (
        raw.STATES,
        of(FIRST, lambda row: row.update(record=None, problem="missing")),
        {Rule.NONE_LOST, Rule.RECORDS},
    ),
    "unknown to Temporal": (
        raw.TEMPORAL,
        lambda rows: rows.pop(0),
        {Rule.NONE_LOST, Rule.PERMITTED},
    ),
    "open in Temporal": (
        raw.TEMPORAL,
        of(THIRD, lambda row: row.update(closed=None, status="RUNNING")),
        {Rule.ALL_END, Rule.ENDS},
    ),
    "the third before the second": (raw.TEMPORAL, last_first, {Rule.ORDER}),
    "a gap in the versions": (raw.STATES, of(FIRST, record(version=4)), {Rule.RECORDS}),
    "a falling percent": (raw.STATES, of(FIRST, shrink), {Rule.RECORDS}),
    "cancelled by nobody": (
        raw.TEMPORAL,
        of(FIRST, lambda row: row.update(status="CANCELED")),
        {Rule.ENDS},
    ),
    "a last job in trouble": (raw.LEDGERS["video"], second_attempt, {Rule.TAIL, Rule.PAID_ONCE}),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_broken_is_named(run: Synthetic, case: str) -> None:
    book, forge, rules = BROKEN[case]
    run.edit(book, forge)

    assert broken(evidence(run)) == rules


@pytest.mark.parametrize(
    ("slots", "who"),
    [
        ({"holders": [{"job_id": FIRST, "draining": True}], "waiting_count": 0}, FIRST),
        ({"holders": [], "waiting_count": 2}, ""),
    ],
)
def test_somebody_held_at_the_end(run: Synthetic, slots: Row, who: str) -> None:
    [found] = violations(replace(evidence(run), slots=slots))

    assert (found.rule, found.who) == (Rule.NOBODY_HELD, who)


def test_a_record_behind_its_workflow(run: Synthetic) -> None:
    [found] = violations(replace(evidence(run), versions={FIRST: 4}))

    assert (found.rule, found.who) == (Rule.RECORDS, FIRST)


def test_a_history_that_does_not_replay(run: Synthetic) -> None:
    run.folder.write(raw.REPLAY, {"replayed": 2, "kept": 3, "failures": {FIRST: "another order"}})

    assert broken(evidence(run)) == {Rule.REPLAYS}


def test_an_unread_book(run: Synthetic) -> None:
    books = load(run.folder)
    books.run["unread"] = ["receipts: gone"]

    assert Rule.READ in broken(replace(evidence(run), books=books))


def test_evidence_is_read_as_it_was_written(run: Synthetic) -> None:
    found = replace(evidence(run), disturbed={FIRST: frozenset({Done.CANCEL, Done.RESET})})
    write(run.folder, found)

    again = read(run.folder)

    assert (again.slots, again.versions, again.tail) == (found.slots, found.versions, found.tail)
    assert (again.disturbed, again.struck) == (found.disturbed, list(found.struck))
    assert violations(again) == violations(found)


def test_a_permit_that_only_the_semaphore_tells_of_is_one(run: Synthetic) -> None:
    """The job was ended before it could hear of it; a second one beside it is seen all the same."""
    run.edit(raw.TEMPORAL, of(SECOND, lambda row: row.update(granted=None)))
    found = evidence(run)
    granted = {e.run_id: e.granted for job in found.books.jobs for e in job.executions}
    closed = {e.run_id: e.closed or 0.0 for job in found.books.jobs for e in job.executions}
    first, second = f"r-{FIRST}", f"r-{SECOND}"

    right = {first: granted[first] or 0.0, second: closed[first] + 0.001}
    assert violations(replace(found, grants=right)) == []
    assert broken(replace(found, grants=right | {second: closed[first] - 0.1})) == {Rule.AT_ONCE}
