"""Lies about a finished run are convicted by name, and no run that nobody has bent."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from loadtest.books import raw, seal
from loadtest.books.raw import RunFolder
from loadtest.judge.compare import RUN
from loadtest.judge.conserved import LEFT_OPEN, STILL_OPEN
from loadtest.judge.judge import Judgement, Verdict, judge
from loadtest.judge.threshold import DEFAULTS
from loadtest.report.page import BAD, Block, Notice, Table, Tiles
from loadtest.report.write import sections
from loadtest.run.plan import planned
from tests.loadtest.forging import families
from tests.loadtest.forging.kit import (
    FORGERIES,
    LEDGERS,
    SIGNALED,
    Forger,
    Forgery,
    Row,
    convictions,
    job_in,
    moved,
    rewrite,
)
from tests.loadtest.forging.recorded import KINDS, PLAIN, unpack
from tests.loadtest.synthetic import (
    JOB_SECONDS,
    Synthetic,
    convicted,
    job_id,
    named,
    payload,
    payloads,
    put,
    signal_of,
    url,
)

assert families


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> dict[str, RunFolder]:
    place = tmp_path_factory.mktemp("runs")
    return {kind: unpack(kind, place / kind) for kind in {lie.run for lie in FORGERIES}}


def test_there_are_enough_forgeries() -> None:
    assert len(FORGERIES) >= 120
    assert len({lie.name for lie in FORGERIES}) == len(FORGERIES)


@pytest.mark.parametrize("lie", FORGERIES, ids=lambda lie: lie.name)
def test_forgery_is_convicted(finished: dict[str, RunFolder], tmp_path: Path, lie: Forgery) -> None:
    forger = Forger(finished[lie.run], tmp_path / "run", seed=1)
    suspects = set(lie.tell(forger))
    forger.seal()

    found = convictions(judge(forger.folder))

    said = "\n".join(f"{c.rule}: {c.job_id}: {c.text}" for c in found)
    assert found
    assert not suspects or any(job in said for job in suspects), f"{suspects} in:\n{said}"


def test_run_that_closes_after_its_books_were_read(
    finished: dict[str, RunFolder], tmp_path: Path
) -> None:
    forger = Forger(finished[PLAIN], tmp_path / "run", seed=1)
    job_id = forger.order[-1]
    forger.history(job_id, lambda events: events[-1].update(eventTime="2100-01-01T00:00:00Z"))
    forger.seal()

    found = {each.rule for each in convictions(judge(forger.folder)) if each.job_id == job_id}

    assert "history.closed" in found


INTERRUPTED = "interrupted"
GOOD = [kind for kind in KINDS if kind != INTERRUPTED]


def test_there_are_enough_innocents() -> None:
    assert len(GOOD) >= 30


@pytest.mark.parametrize("kind", GOOD)
def test_innocent_is_not_convicted(kind: str, tmp_path: Path) -> None:
    judgement = judge(unpack(kind, tmp_path / kind))

    assert [f for f in judgement.findings if f.rule != LEFT_OPEN] == []
    assert judgement.undecided == []
    broken = [c.text for c in judgement.conditions if c.ok is False]
    assert broken in ([], ["success_rate>=1"])
    assert judgement.passed or broken
    if {condition.text for condition in judgement.conditions} == set(DEFAULTS) and not broken:
        assert list(reds(judgement)) == []


def killed_before_it_noted_its_callbacks(f: Forger) -> str:
    f.each(LEDGERS[1], lambda row: row["callbacks"].clear())
    return "callbacks"


def decided_in_any_order_because_they_were_sent_together(f: Forger) -> str:
    applied = {"task_status": "processing", "fate": "applied"}
    [one] = [row for row in f.rows(raw.RECEIPTS) if row | applied == row]

    def decide_last(row: Row) -> None:
        if row == one:
            row.update(fate="out_of_order", received_at=moved(row["received_at"], -0.01))

    f.each(raw.RECEIPTS, decide_last)
    return "receipts.fate"


def made_from_our_copy_of_its_picture(f: Forger) -> str:
    copies = {row["job_id"]: row["sha256"] for row in f.rows(raw.FILES) if row["kind"] == "image"}
    assert copies.keys().isdisjoint(row["source_sha256"] for row in f.rows(LEDGERS[1]))
    f.each(LEDGERS[1], lambda row: row.update(source_sha256=copies[job_in(row)]))
    return "video_ledger.source_sha256"


def numbered_by_a_vendor_that_an_earlier_run_had_asked(f: Forger) -> str:
    """Each vendor numbers the jobs of a text by itself."""
    f.each(LEDGERS[0], lambda row: row.update(job_key=row["job_key"].partition("#")[0] + "#9"))
    f.json(raw.RUN, lambda run: put(run["vendors_before"], "image", accepted=lambda n: n + 1))
    f.json(raw.VENDORS, lambda told: put(told, "image", "stats", accepted=lambda n: n + 1))
    return "video_ledger.job_key"


def shown_by_a_poll_before_the_feed_had_it(f: Forger) -> str:
    [job_id] = f.drop(raw.FRAMES, version=4)
    f.each(raw.FRAMES, lambda row: row["version"] == 5 and row.update(source="poll"), of=job_id)
    return "frames.version"


def delayed_by_a_length_of_time_that_is_a_text(f: Forger) -> str:
    """A rule says `"5"` or `"5s"`, and the trace what came of it."""

    def wait(run: Row) -> None:
        for rules in run["faults"].values():
            for rule in rules["rules"]:
                rule["with"] = rule.get("with", {}) | {"seconds": "5"}

    f.json(raw.RUN, wait)
    f.each(raw.FAULTS, lambda row: put(row, "with", seconds=5.0))
    return "faults.with.seconds"


def armed_and_cleared_during_the_run(f: Forger) -> str:
    """Of the rules that have met jobs each second one was armed later; another one was cleared."""

    def plan(run: Row) -> None:
        for body in run["faults"].values():
            cleared = {"name": "cleared", "where": "submit", "do": "refuse"}
            body["rules"] = [*body["rules"][::2], cleared]

    f.json(raw.RUN, plan)
    f.json(raw.VENDORS, lambda told: told["image"]["stats"].update(plan_version=2))
    f.json(raw.VENDORS, lambda told: told["video"]["stats"].update(plan_version=2))
    return "faults.rule"


def asked_for_more_than_its_job_says(f: Forger) -> str:
    f.orders(
        f.order[0],
        lambda body: (
            "inputs" in body and body["inputs"].update(prompt=f"p. {body['inputs']['prompt']}")
        ),
    )
    return "history.activities[].order.inputs.prompt"


def stored_by_a_stage_that_is_no_medium(f: Forger) -> str:
    f.results(f.order[0], lambda body: body.update(asset_url=f"/jobs/{f.order[0]}/poster"))
    return "history.result.media_type"


def divided_between_tasks_by_a_slow_local_activity(f: Forger) -> str:
    """Of the last commands (marker, attributes, marker, close) two jobs divide other ones."""
    for job, places in zip(f.order, ([-2], [-3, -1]), strict=False):
        for place in places:
            f.history(job, partial(_divide, place=place))
    return "history.commands"


def _divide(events: list[Row], place: int) -> None:
    """Let the commands from this place on be those of another task, which goes on with the last."""
    behind, first = events[place:], int(events[place]["eventId"])
    task = "workflowTask{}EventAttributes"
    began = deepcopy([each for each in events if task.format("Started") in each][-1])
    began[task.format("Started")]["requestId"] = "request-from-RespondWorkflowTaskCompleted"
    ended = deepcopy([each for each in events if task.format("Completed") in each][-1])
    ended[task.format("Completed")]["startedEventId"] = str(first)
    for number, event in enumerate([began, ended, *behind], first):
        event.update(eventId=str(number), eventTime=behind[0]["eventTime"], taskId="0")
        for body in event.values():
            if isinstance(body, dict) and "workflowTaskCompletedEventId" in body:
                body["workflowTaskCompletedEventId"] = str(first + 1)
    events[place:] = [began, ended, *behind]


@pytest.mark.parametrize(
    ("kind", "bend"),
    [
        ("slow-machine", asked_for_more_than_its_job_says),
        (PLAIN, stored_by_a_stage_that_is_no_medium),
        ("chaos", killed_before_it_noted_its_callbacks),
        ("heard-together", decided_in_any_order_because_they_were_sent_together),
        (PLAIN, made_from_our_copy_of_its_picture),
        (PLAIN, numbered_by_a_vendor_that_an_earlier_run_had_asked),
        (PLAIN, shown_by_a_poll_before_the_feed_had_it),
        ("everything-at-once", delayed_by_a_length_of_time_that_is_a_text),
        (PLAIN, divided_between_tasks_by_a_slow_local_activity),
        ("everything-at-once", armed_and_cleared_during_the_run),
    ],
    ids=lambda it: it if isinstance(it, str) else it.__name__,
)
def test_ambiguous_forgery_is_not_convicted(
    kind: str, bend: Callable[[Forger], str], tmp_path: Path
) -> None:
    forger = Forger(unpack(kind, tmp_path / kind), tmp_path / "run", seed=1)
    rule = bend(forger)
    forger.seal()

    assert [each.text for each in judge(forger.folder).findings if each.rule == rule] == []


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


def test_interrupted_run_reports_only_the_interruption(tmp_path: Path) -> None:
    judgement = judge(unpack(INTERRUPTED, tmp_path / "run"))

    assert judgement.verdict is Verdict.FAIL
    assert {f.rule for f in judgement.findings} <= {STILL_OPEN, LEFT_OPEN, "run.why", "stages"}


NAME = job_id(0, 0)
VIDEO = raw.LEDGERS["video"]


@pytest.fixture
def run(tmp_path: Path) -> Synthetic:
    return Synthetic(tmp_path, plan=planned("1", seed="7")).write()


def rules(run: Synthetic) -> set[str]:
    return {finding.rule for finding in judge(run.folder).findings}


def test_version_may_be_seen_before_its_last_write(run: Synthetic) -> None:
    """Its first version is written by a task that comes too late, and then once more."""
    run.change(raw.FRAMES, 0, at=lambda at: at - 2)
    assert rules(run) == {"frames.at"}

    def throw_away(events: list[Row]) -> None:
        kind = "EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT"
        late = {"scheduledEventId": "2", "startedEventId": "3"}
        event = {"eventTime": events[-1]["eventTime"], "eventType": kind}
        events.insert(-1, event | {"workflowTaskTimedOutEventAttributes": late})

    run.history(NAME, throw_away)
    assert rules(run) == set()


def test_start_is_no_earlier_than_the_steps_before_it(tmp_path: Path) -> None:
    forger = Forger(unpack(PLAIN, tmp_path / "run"), tmp_path / "forged", seed=1)

    def begin_early(events: list[Row]) -> None:
        events[0]["eventTime"] = moved(events[0]["eventTime"], -2)

    forger.history(forger.order[-1], begin_early)
    seal.write(forger.folder)
    found = {(each.rule, each.job_id) for each in judge(forger.folder).findings}
    assert ("history.numbers", forger.order[-1]) in found


def test_another_jobs_picture_is_named_beside_those_of_the_job(tmp_path: Path) -> None:
    forger = Forger(unpack("slow-machine", tmp_path / "run"), tmp_path / "forged", seed=1)
    job_id, other = forger.order[:2]
    made = {job_in(row): str(row["job_id"]) for row in forger.rows(LEDGERS[0])}
    source = {"vendor_id": made[other], "url": "http://another/"}
    forger.orders(job_id, lambda body: body.get("source") and body["source"].update(source))
    forger.seal()

    rule = "history.activities[].order.source.vendor_id"
    [said] = {each.text for each in judge(forger.folder).findings if each.rule == rule}
    assert made[other] in said
    assert said.endswith(f"it is {made[job_id]}")


def test_id_of_an_image_is_expected_among_those_of_images(honest: Synthetic) -> None:
    honest.change(LEDGERS[0], 2, job_id="other")
    rule = "history.result.vendor_id"
    [said] = {each.text for each in judge(honest.folder).findings if each.rule == rule}
    assert said.endswith("it is other")


def discard(events: list[Row], *, cause: str, **more: Any) -> None:
    """The server has discarded a workflow's task."""
    kind = "WORKFLOW_TASK_FAILED"
    failed = {"cause": f"{kind}_CAUSE_{cause}", "startedEventId": "3"} | more
    event = {"eventTime": events[-1]["eventTime"], "eventType": f"EVENT_TYPE_{kind}"}
    events.insert(-1, event | {"workflowTaskFailedEventAttributes": failed})


@pytest.mark.parametrize(
    ("message", "accused"),
    [("[TMPRL1101] Potential deadlock detected", set()), ("KeyError", {"history.tasks[].cause"})],
)
def test_task_that_failed_is_blamed_on_its_code_unless_its_worker_was_frozen(
    run: Synthetic, message: str, accused: set[str]
) -> None:
    cause = "WORKFLOW_WORKER_UNHANDLED_FAILURE"
    run.history(NAME, partial(discard, cause=cause, failure={"message": message}))
    assert rules(run) == accused


@pytest.mark.parametrize(
    ("change", "rule"),
    [(lambda at: at + 0.1, "history.orders[].at"), (lambda at: None, "history.permit")],
)
def test_order_before_or_without_a_permit_is_convicted(
    run: Synthetic, change: Any, rule: str
) -> None:
    run.edit_runs(lambda rows: rows[0].update(granted=change(rows[0]["granted"])))
    assert rule in rules(run)


@pytest.mark.parametrize(
    ("cpu", "convicted"), [((1.0, 2.0), True), ((2.0, 0.1), False)], ids=["sound", "killed"]
)
def test_receiver_is_convicted_when_every_callback_is_lost_without_a_fault(
    honest: Synthetic, cpu: tuple[float, float], *, convicted: bool
) -> None:
    """Polls make good what gets lost; a receiver that was killed may have lost it."""
    lost = {"reply": None, "error": "ConnectError"}
    honest.edit(VIDEO, lambda rows: [told.update(lost) for r in rows for told in r["callbacks"]])
    honest.edit(raw.RECEIPTS, list.clear)
    for path in sorted(honest.folder.histories.glob("*.json")):
        honest.history(path.stem, unwoken)
    honest.add(
        raw.PROCESSES, [{"name": "callback", "at": at, "cpu": each} for at, each in enumerate(cpu)]
    )
    judgement = judge(honest.folder)

    assert named(judgement, "receipts") == []
    told = "video_ledger.callbacks[].error"
    assert set(named(judgement, told)) == {job.job_id for job in judgement.books.jobs if convicted}


def unwoken(events: list[Row]) -> None:
    for event in events:
        if signal_of(event) == "kling_done":
            event[SIGNALED]["signalName"] = "resume"


@pytest.mark.parametrize("reply", [200, 503, None])
def test_receipt_without_a_fate_needs_a_delivery_without_a_good_answer(
    honest: Synthetic, reply: int | None
) -> None:
    """As of a receiver that was killed over it, or that had no Temporal."""
    honest.change(raw.RECEIPTS, 0, fate="unknown", decided=False)
    honest.change(VIDEO, 0, "callbacks", 0, reply=reply)

    assert bool(named(judge(honest.folder), "receipts.fate")) == (reply == 200)


def test_history_without_events_is_convicted(run: Synthetic) -> None:
    (run.folder.histories / f"{NAME}.json").write_text('{"events": []}', "utf-8")

    assert "history" in rules(run)


SECOND, LAST = job_id(1, 1), job_id(1, 4)
UPSERT = "upsertWorkflowSearchAttributesEventAttributes"
STEADY = [{"name": "callback", "at": 0, "cpu": 1.0}]


def test_percent_in_temporal_differs_from_the_record(honest: Synthetic) -> None:
    def fall(events: list[Row]) -> None:
        [upsert] = [event[UPSERT] for event in events if UPSERT in event]
        upsert["searchAttributes"]["indexedFields"]["CustomProgress"] = payload(50)

    honest.history(SECOND, fall)
    assert convicted(honest, "history.progress") == {SECOND}


@pytest.mark.parametrize("discarded", [False, True])
def test_success_after_the_jobs_time_limit_is_convicted(
    honest: Synthetic, *, discarded: bool
) -> None:
    if discarded:
        honest.history(LAST, partial(discard, cause="UNHANDLED_COMMAND"))

    def later(events: list[Row]) -> None:
        events[-1]["eventTime"] = moved(events[-1]["eventTime"], JOB_SECONDS + 10)

    honest.history(LAST, later)
    assert convicted(honest, "history.limit") == {LAST}


def test_video_that_ends_after_its_job_is_convicted(honest: Synthetic) -> None:
    honest.change(raw.LEDGERS["video"], 2, finished_at=lambda at: at + 0.5)
    assert convicted(honest, "video_ledger.finished_at") == {SECOND}


@pytest.mark.parametrize("units", ["2", "35"])
def test_cost_that_differs_from_the_vendors_is_convicted(honest: Synthetic, units: str) -> None:
    def charge(body: Row) -> None:
        if str(body.get("asset_url")).endswith("video") and "asset" in body:
            body["units"] = {f"{SECOND}.video.1": units}

    def told(events: list[Row]) -> None:
        for event in events:
            details = (event.get("markerRecordedEventAttributes") or {}).get("details") or {}
            rewrite(details.get("result"), charge)

    honest.history(SECOND, told)
    assert convicted(honest, "history.result.units") == ({SECOND} if units != "2" else set())


def test_time_that_runs_before_the_permit_is_convicted(honest: Synthetic) -> None:
    def sooner(events: list[Row]) -> None:
        [timer] = [event for event in events if "timerStartedEventAttributes" in event]
        timer["eventTime"] = moved(timer["eventTime"], -JOB_SECONDS)

    honest.history(LAST, sooner)
    assert convicted(honest, "history.timers") == {LAST}


def test_address_that_is_not_of_the_last_file_is_convicted(honest: Synthetic) -> None:
    def picture(events: list[Row]) -> None:
        closed = events[-1]["workflowExecutionCompletedEventAttributes"]
        rewrite(closed["result"], lambda body: body.update(asset_url=url(LAST, "image")))

    tell(honest, LAST, asset_url=url(LAST, "image"))
    honest.history(LAST, picture)
    assert convicted(honest, "jobs.job.asset_url") == {LAST}


@pytest.mark.parametrize(("code", "guilty"), [("timed_out", {SECOND}), ("terminated", set())])
def test_reason_of_an_end_from_outside_is_how_its_run_closed(
    honest: Synthetic, code: str, guilty: set[str]
) -> None:
    terminate(honest, code)
    assert convicted(honest, "jobs.job.error.code") == guilty


@pytest.mark.parametrize("ends", [True, False])
def test_generation_that_never_ends_is_waited_for_after_its_jobs_end(
    honest: Synthetic, *, ends: bool
) -> None:
    terminate(honest, "terminated")
    if not ends:
        honest.change(VIDEO, 2, finished_at=None, outcome=None)
    assert bool(convicted(honest, "overlap")) == (not ends)


def test_holder_whose_run_has_closed_is_shown_as_draining(honest: Synthetic) -> None:
    honest.add(raw.PROCESSES, STEADY)
    terminate(honest, "terminated")
    assert not convicted(honest, "slots.draining")

    def sooner(events: list[Row]) -> None:
        events[-1]["eventTime"] = moved(events[-1]["eventTime"], -JOB_SECONDS)

    honest.history(SECOND, sooner)
    assert convicted(honest, "slots.draining") == {SECOND}


@pytest.mark.parametrize(("feeds", "accused"), [(2, set()), (3, {RUN})])
def test_feed_that_a_steady_api_cuts_is_convicted(
    honest: Synthetic, feeds: int, accused: set[str]
) -> None:
    honest.edit(raw.STAGES, lambda rows: [row.update(feed_connections=feeds) for row in rows])
    assert not convicted(honest, "stages.feed_connections")

    honest.add(raw.PROCESSES, STEADY)
    assert convicted(honest, "stages.feed_connections") == accused


def test_reports_without_a_pause_are_convicted(honest: Synthetic) -> None:
    def report(events: list[Row]) -> None:
        *_, done = (event for event in events if signal_of(event) == "kling_done")
        body = {"external_id": f"{SECOND}.video.1", "percent": 5}
        signal = {"signalName": "report_progress", "input": payloads(body), "identity": "1@w"}
        last = events.pop()
        events.extend({**done, SIGNALED: signal} for _ in range(3))
        events.append(last)
        for number, event in enumerate(events, 1):
            event["eventId"] = str(number)

    honest.history(SECOND, report)
    assert convicted(honest, "history.orders[].reports") == {SECOND}


@pytest.mark.parametrize("often", [2, 3])
def test_calls_that_no_heartbeat_reaches_are_convicted(honest: Synthetic, often: int) -> None:
    failed = {"timeoutFailureInfo": {"timeoutType": "TIMEOUT_TYPE_HEARTBEAT"}}

    def unheard(events: list[Row]) -> None:
        for event in events:
            if (body := event.get("activityTaskStartedEventAttributes")) is not None:
                body |= {"attempt": often, "lastFailure": failed}
                break

    honest.add(raw.PROCESSES, STEADY)
    for place in range(5):
        honest.history(job_id(1, place), unheard)
    assert bool(convicted(honest, "waits.heartbeats")) == (often > 2)


def terminate(honest: Synthetic, code: str) -> None:
    """The second job's run was closed from outside."""

    limits = {"job_seconds": JOB_SECONDS, "drain_seconds": JOB_SECONDS}

    def close(events: list[Row]) -> None:
        for event in events:
            marker = event.get("markerRecordedEventAttributes") or {}
            rewrite(
                (marker.get("details") or {}).get("result"),
                lambda body: "limits" in body and body.update(limits=limits),
            )
        del events[-1]["workflowExecutionCompletedEventAttributes"]
        events[-1] |= {
            "eventType": "EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED",
            "workflowExecutionTerminatedEventAttributes": {},
        }

    honest.history(SECOND, close)
    tell(honest, SECOND, status="failed", error={"code": code, "message": "It was ended."})


def tell(honest: Synthetic, name: str, **other: Any) -> None:
    """The list says something else of a job."""
    honest.edit(
        raw.JOBS,
        lambda rows: [row["job"].update(other) for row in rows if row["job"]["job_id"] == name],
    )


def test_fifth_attempt_is_convicted(honest: Synthetic) -> None:
    def many(events: list[Row]) -> None:
        for event in events:
            scheduled = event.get("activityTaskScheduledEventAttributes") or {}
            rewrite(scheduled.get("input"), lambda body: "stage" in body and body.update(attempt=5))

    honest.history(SECOND, many)
    assert convicted(honest, "history.orders[].attempt") >= {SECOND}


@pytest.mark.parametrize("found", [True, False])
def test_end_that_a_discarded_task_has_written_stands(honest: Synthetic, *, found: bool) -> None:
    """Its repetition may begin with another note, and finds the end in the record."""

    def repeated(events: list[Row]) -> None:
        last = [event for event in events if "markerRecordedEventAttributes" in event][-1]
        last["userMetadata"] = {"summary": payload("version 5: 99 %")}
        end = {"version": 5, "note": "video stored"}
        present = {"finished_at": "2026-11-27T10:00:00Z", "transitions": [end]}
        result = {"present": present if found else None}
        last["markerRecordedEventAttributes"]["details"]["result"] = payloads(result)

    honest.history(SECOND, repeated)
    assert convicted(honest, "history.note") == (set() if found else {SECOND})
