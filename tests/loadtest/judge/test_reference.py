"""Lies about a finished run are convicted by name, and no run that nobody has bent."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtest.books import raw
from loadtest.books.raw import RunFolder
from loadtest.judge.judge import LEFT_OPEN, STILL_OPEN, Judgement, Verdict, judge
from loadtest.judge.threshold import DEFAULTS
from loadtest.report.page import BAD, Block, Notice, Table, Tiles
from loadtest.report.write import sections
from loadtest.run.plan import Options
from tests.loadtest.forging import families
from tests.loadtest.forging.kit import (
    FORGERIES,
    LEDGERS,
    Forger,
    Forgery,
    Row,
    convictions,
    job_in,
    moved,
)
from tests.loadtest.forging.recorded import KINDS, PLAIN, unpack
from tests.loadtest.synthetic import Synthetic, exactly, job_id, named

assert families


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> dict[str, RunFolder]:
    place = tmp_path_factory.mktemp("runs")
    return {kind: unpack(kind, place / kind) for kind in {lie.run for lie in FORGERIES}}


def test_there_are_enough_of_them() -> None:
    assert len(FORGERIES) >= 120
    assert len({lie.name for lie in FORGERIES}) == len(FORGERIES)


@pytest.mark.parametrize("lie", FORGERIES, ids=lambda lie: lie.name)
def test_it_is_convicted(finished: dict[str, RunFolder], tmp_path: Path, lie: Forgery) -> None:
    forger = Forger(finished[lie.run], tmp_path / "run", seed=1)
    suspects = set(lie.tell(forger))
    forger.seal()

    found = convictions(judge(forger.folder))

    said = "\n".join(f"{c.rule}: {c.job_id}: {c.text}" for c in found)
    assert found
    assert not suspects or any(job in said for job in suspects), f"{suspects} in:\n{said}"


INTERRUPTED = "interrupted"
GOOD = [kind for kind in KINDS if kind != INTERRUPTED]


def test_there_are_enough_good_runs() -> None:
    assert len(GOOD) >= 30


@pytest.mark.parametrize("kind", GOOD)
def test_nobody_is_convicted(kind: str, tmp_path: Path) -> None:
    judgement = judge(unpack(kind, tmp_path / kind))

    assert [f for f in judgement.findings if f.rule != LEFT_OPEN] == []
    assert judgement.undecided == []
    broken = [c.text for c in judgement.conditions if c.ok is False]
    assert broken in ([], ["success_rate>=1"])
    assert judgement.passed or broken
    if {condition.text for condition in judgement.conditions} == set(DEFAULTS) and not broken:
        assert list(reds(judgement)) == []


def test_a_killed_mock_may_have_sent_what_it_did_not_note(tmp_path: Path) -> None:
    forger = Forger(unpack("chaos", tmp_path / "chaos"), tmp_path / "run", seed=1)
    forger.each(LEDGERS[1], lambda row: row["callbacks"].clear())
    forger.seal()

    assert "callbacks" not in {f.rule for f in judge(forger.folder).findings}


def test_until_a_drain_writes_the_end_a_callback_is_early(tmp_path: Path) -> None:
    forger = Forger(unpack("chaos", tmp_path / "chaos"), tmp_path / "run", seed=1)
    job_id = "job-4ca2033442f50f64ac5b2625"
    closed = next(r["closed"] for r in forger.rows(raw.EXECUTIONS) if r["job_id"] == job_id)
    assert closed

    def late(row: Row) -> None:
        if row["task_status"] == "processing":
            row["received_at"] = exactly(closed + 0.5)

    forger.each(raw.RECEIPTS, late, of=job_id)
    end = exactly(closed + 2)
    forger.each(raw.STATES, lambda row: row["record"]["transitions"][-1].update(at=end), of=job_id)
    forger.seal()

    found = judge(forger.folder).findings
    assert [f.text for f in found if (f.rule, f.job_id) == ("receipts.fate", job_id)] == []


def test_a_video_may_be_made_from_our_copy_of_its_picture(
    finished: dict[str, RunFolder], tmp_path: Path
) -> None:
    forger = Forger(finished[PLAIN], tmp_path / "run", seed=1)
    copies = {r["job_id"]: r["sha256"] for r in forger.rows(raw.FILES) if r["kind"] == "image"}
    made_from = {row["source_sha256"] for row in forger.rows(LEDGERS[1])}
    assert made_from.isdisjoint(copies.values())
    forger.each(LEDGERS[1], lambda row: row.update(source_sha256=copies[job_in(row)]))
    forger.seal()

    assert convictions(judge(forger.folder)) == []


def test_callbacks_that_are_sent_together_are_decided_in_any_order(tmp_path: Path) -> None:
    forger = Forger(unpack("heard-together", tmp_path / "kept"), tmp_path / "run", seed=1)
    applied = {"task_status": "processing", "fate": "applied"}
    [one] = [row for row in forger.rows(raw.RECEIPTS) if row | applied == row]

    def decide_last(row: Row) -> None:
        if row == one:
            row.update(fate="out_of_order", received_at=moved(row["received_at"], -0.01))

    forger.each(raw.RECEIPTS, decide_last)
    forger.seal()

    assert judge(forger.folder).findings == []


def test_an_earlier_run_may_have_kept_a_text_from_one_vendor(
    finished: dict[str, RunFolder], tmp_path: Path
) -> None:
    """Each vendor numbers the jobs of a text by itself."""
    forger = Forger(finished[PLAIN], tmp_path / "run", seed=1)

    def renumber(row: Row) -> None:
        row["job_key"] = row["job_key"].partition("#")[0] + "#9"

    forger.each(LEDGERS[0], renumber)
    assert {f.rule for f in judge(forger.folder).findings} >= {"video_ledger.job_key"}

    def accept_before(run: Row) -> None:
        run["vendors_before"]["image"]["accepted"] += 1

    def accept(vendors: Row) -> None:
        vendors["image"]["stats"]["accepted"] += 1

    forger.json(raw.RUN, accept_before)
    forger.json(raw.VENDORS, accept)
    forger.seal()

    assert convictions(judge(forger.folder)) == []


def reds(judgement: Judgement) -> Iterator[str]:
    for section in sections(judgement):
        for block in section.blocks:
            for text in _reds(block):
                yield f"{section.title}: {text}"


def _reds(block: Block) -> Iterator[str]:
    match block:
        case Notice(tone=tone, text=text) if tone == BAD:
            yield text
        case Table(rows=rows):
            yield from (str(cells) for cells in rows if any(cell.tone == BAD for cell in cells))
        case Tiles(tiles=tiles):
            yield from (name for name, _, tone in tiles if tone == BAD)


def test_one_that_was_interrupted_says_so_and_nothing_else(tmp_path: Path) -> None:
    judgement = judge(unpack(INTERRUPTED, tmp_path / "run"))

    assert judgement.verdict is Verdict.FAIL
    assert {f.rule for f in judgement.findings} <= {STILL_OPEN, LEFT_OPEN, "run.why", "stages"}


NAME = job_id(0, 0)
TIMED_OUT = "EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT"
VIDEO = raw.LEDGERS["video"]


@pytest.fixture
def run(tmp_path: Path) -> Synthetic:
    return Synthetic(tmp_path, plan=Options(stages="1", seed="7").plan()).write()


def throw_away(run: Synthetic) -> None:
    """The server threw a workflow task of the job away, whose writes remain."""

    def insert(events: list[Row]) -> None:
        events.insert(-1, {"eventTime": events[-1]["eventTime"], "eventType": TIMED_OUT})

    run.history(NAME, insert)


def rules(run: Synthetic) -> set[str]:
    return {finding.rule for finding in judge(run.folder).findings}


def test_a_version_may_be_shown_before_it_was_so_in_the_end(run: Synthetic) -> None:
    """Its first version is written by a task that comes too late, and then once more."""

    def early(rows: list[Row]) -> None:
        for row in rows:
            row["at"] -= 2.0 * (row["version"] == 1)

    run.edit(raw.FRAMES, early)
    assert rules(run) == {"frames.at"}

    throw_away(run)
    assert rules(run) == set()


def test_an_order_before_the_permit_is_convicted(run: Synthetic) -> None:
    run.edit_runs(lambda rows: rows[0].update(granted=rows[0]["granted"] + 0.1))
    assert "permit" in rules(run)


def test_a_permit_of_a_stages_gate_is_not_the_slots(run: Synthetic) -> None:
    run.edit_runs(lambda rows: rows[0].update(granted=None))
    assert "permit" in rules(run)


def unheard(run: Synthetic, **more: object) -> None:
    def change(rows: list[Row]) -> None:
        for row in rows:
            row |= more
            for told in row["callbacks"]:
                told |= {"reply": None, "error": "ConnectError"}

    run.edit(VIDEO, change)
    run.edit(raw.RECEIPTS, list.clear)
    for path in sorted(run.folder.histories.glob("*.json")):
        run.history(path.stem, unwoken)


def unwoken(events: list[Row]) -> None:
    for event in events:
        signal = event.get("workflowExecutionSignaledEventAttributes") or {}
        if signal.get("signalName") == "kling_done":
            signal["signalName"] = "resume"


def test_callbacks_that_get_lost_are_made_good_by_polls(honest: Synthetic) -> None:
    unheard(honest)
    assert named(judge(honest.folder), "receipts") == []


def test_where_every_callback_is_lost_and_no_fault_is_why_the_receiver_is_convicted(
    honest: Synthetic,
) -> None:
    unheard(honest)
    honest.add(raw.PROCESSES, [{"name": "callback", "at": at, "cpu": float(at)} for at in (1, 2)])

    found = named(judge(honest.folder), "callbacks")
    assert len(found) == len(judge(honest.folder).stages)


def test_a_receiver_that_was_killed_may_have_lost_them(honest: Synthetic) -> None:
    unheard(honest)
    honest.add(raw.PROCESSES, [{"name": "callback", "at": 1, "cpu": 2.0}])
    honest.add(raw.PROCESSES, [{"name": "callback", "at": 2, "cpu": 0.1}])

    assert named(judge(honest.folder), "callbacks") == []


@pytest.mark.parametrize("reply", [200, 503, None])
def test_a_receipt_without_a_fate_needs_a_delivery_without_a_good_answer(
    honest: Synthetic, reply: int | None
) -> None:
    """As of a receiver that was killed over it, or that had no Temporal."""
    honest.edit(raw.RECEIPTS, lambda rows: rows[0].update(fate="unknown", decided=False))
    honest.edit(VIDEO, lambda rows: rows[0]["callbacks"][0].update(reply=reply))

    fates = named(judge(honest.folder), "receipts.fate")
    assert bool(fates) == (reply == 200)


def test_the_history_is_read_as_json(run: Synthetic) -> None:
    path = run.folder.histories / f"{NAME}.json"
    path.write_text(json.dumps({"events": []}), "utf-8")

    assert "history" in rules(run)
