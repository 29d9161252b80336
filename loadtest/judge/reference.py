"""The reference model of a job: its states, as the plan and Temporal's history give them.

The history is the server's own export, and the plan follows from the seed. Here the history is
held against the plan, against itself, and against the ledgers as far as the job's end follows from
them; `shown` holds the job's other books against the model.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from loadtest.books import raw
from loadtest.books.facts import mapping
from loadtest.books.histories import Execution, order_in, stage_of
from loadtest.books.model import RESET, START_AGAIN, Books, JobFacts, StageBook
from loadtest.books.prompts import priority, prompt, style
from loadtest.judge.clocks import SERVER, Clocks
from loadtest.judge.compare import Between, Finding, Number, OneOf, Subject
from loadtest.times import duration, timestamp

BEGINS = re.compile(r"(?:\w+ stored; )?(\w+), attempt (\d+) of (\d+)")
STORED = re.compile(r"(\w+) stored\b.*", re.DOTALL)
ALL_STORED = re.compile(r"(\w+) stored")
REFUSED = re.compile(r"(\w+) refused: .*", re.DOTALL)
PERCENT = re.compile(r"(\d+) %")
PAUSE = re.compile(r"the pause before (\w+) (\d+)")
CLEARING = "waiting until the vend"
_ENDED = {"FAILED": "failed", "CANCELED": "cancelled"}
OWN_ENDS = ("COMPLETED", "FAILED", "CANCELED")
CLOSED_AS = {
    "COMPLETED": ("succeeded", "degraded"),
    "FAILED": ("failed",),
    "CANCELED": ("cancelled",),
    "TERMINATED": ("failed", "cancelled"),
    "TIMED_OUT": ("failed",),
}
"""How a run closed, and what may be shown of its job then."""
PRIORITY = 3
INJECTED = "code injected"
"""What the vendors' mocks answer where a fault refuses a request."""
RECORD_STANDS = "record_stands"
"""The code of an attempt that ends before its submit: the record has a later version."""
CALL_FAILS = ("refuse", "lose-reply", "reset", "accept-late")
"""Faults that fail the call that they meet."""
LAST_TASK = 2.0
"""A worker learns of an end from outside with the answer to the task in hand: in its time-out."""
LAG = 0.05
"""Seconds by which the server's list of runs, another store of it, may differ from histories."""
MOST_ATTEMPTS, BACK_OFF = 4, 1.0
"""One generation, and three more if the vendor fails, after so many seconds for each failure."""
TRY_AGAIN = 0.2
"""Seconds that the runner waits at least before it submits a job once more."""
GENERATION_FAILED = "generation_failed"
"""The code of an attempt that its vendor calls failed."""
ATTEMPT_FAILED = ("attempt_timed_out", "bad_result", GENERATION_FAILED, "generation_lost")
"""Failures after which another attempt is paid for."""
IN_TIME = 5.0
"""Seconds in which a job notices that its time is over, and a vendor that it is to stop."""
STOPPED_BY_CANCEL = ("image",)
"""Services that stop a generation when they are told to."""


@dataclass(slots=True)
class State:
    """A job as of one version."""

    status: str = "queued"
    step: str | None = None
    percent: int = 0
    attempts: dict[str, int] = field(default_factory=dict)
    asset_url: str | None = None
    cleared: bool = False
    """Whether the vendors were cleared, which adds what they had charged for."""

    @property
    def attempt(self) -> int:
        return self.attempts.get(self.step or "", 0)


@dataclass(slots=True)
class Model(Subject):
    """One job as its history and the plan have it."""

    job: JobFacts
    book: StageBook
    books: Books
    clocks: Clocks
    run: Execution
    planned: dict[str, Any]
    """The job's input by the plan."""
    states: dict[int, State] = field(default_factory=dict)

    @property
    def plain(self) -> bool:
        """Whether the history is complete: of a single run that ended by its own code, and of whose
        work the server discarded nothing."""
        run = self.run
        return len(self.job.executions) == 1 and run.status in OWN_ENDS and not run.thrown

    @property
    def last(self) -> State:
        return self.states[max(self.states)] if self.states else State()


def model_of(job: JobFacts, stage: StageBook, books: Books, clocks: Clocks) -> Model:
    """Derive the job's states, version by version, from what its newest run wrote.

    A run that chaos has made after it orders nothing, and the record is of the one before.
    """
    run = job.executions[-1]
    if job.record is not None and books.was_struck_by(job.job_id, RESET, START_AGAIN):
        run = next((each for each in job.executions if each.run_id == job.record.run_id), run)
    model = Model(
        job.job_id, job.stage, job, stage, books, clocks, run, _planned(job, stage, books)
    )
    urls = {str(url).rpartition("/")[2]: url for r in run.results if (url := r.get("asset_url"))}
    state = State(attempts=dict.fromkeys((each.name for each in books.pipeline), 0))
    for each in sorted(run.versions):
        model.states[each.version] = state = _next(state, each.note, urls)
    if model.states and run.status in OWN_ENDS:
        state.status = str(run.result.get("status") or _ENDED.get(run.status, "failed"))
        state.percent = 100 if state.status == "succeeded" else state.percent
    return model


def _planned(job: JobFacts, stage: StageBook, books: Books) -> dict[str, Any]:
    """Return the job's input by the plan; without a submission its prompt is not known."""
    sent, plan = job.submission, books.run["plan"]
    said: dict[str, Any] = {"tag": stage.tag, "priority": PRIORITY}
    said["on_video_failure"] = plan.get("on_video_failure")
    if sent is not None and isinstance(seed := plan.get("seed"), int):
        if books.is_default:
            said["prompt"] = prompt(seed, stage.number, sent.index)
            said["style"] = style(seed, stage.number, sent.index)
        if plan.get("priorities"):
            said["priority"] = priority(seed, stage.number, sent.index)
    if books.struck:
        # What chaos asked of this job.
        [row, *_] = job.rows.get(raw.SUBMITS) or [{}]
        said |= mapping(row.get("asked"))
    return said


def _next(before: State, note: str, urls: dict[str, Any]) -> State:
    """Apply a version's note, as the history has it, to the state before."""
    state = replace(before, attempts=dict(before.attempts))
    state.cleared |= CLEARING in note
    if begun := BEGINS.fullmatch(note):
        state.status, state.step, state.percent = "running", begun[1], 0
        state.attempts[begun[1]] = int(begun[2])
    if (stored := STORED.fullmatch(note)) and stored[1] in urls:
        state.asset_url = urls[stored[1]]
    if refused := REFUSED.fullmatch(note):
        state.attempts[refused[1]] = max(0, state.attempts.get(refused[1], 0) - 1)
    if risen := PERCENT.fullmatch(note):
        state.percent = int(risen[1])
    return state


def task_of(result: Mapping[str, Any]) -> str:
    """Return the vendor's id in an activity's result, without the path that may precede it."""
    return str(result.get("vendor_id")).rpartition("/")[2]


def of_job(model: Model) -> Iterator[Finding]:
    """Find where the job's history contradicts the plan, the submission or itself."""
    run, job = model.run, model.job
    expected: dict[str, Any] = {
        f"input.{key}": value for key, value in model.planned.items() if key in run.body
    }
    expected["tag"] = model.book.tag
    # What chaos ends just as the last task writes the job's end never learns of it; a frozen worker
    # began that task long before.
    written = job.changes[-1].at if job.changes and model.books.disturbed.get(job.job_id) else None
    outside = run.status in ("TERMINATED", "TIMED_OUT") and written is not None
    if job.ended and not (outside and (written or 0.0) < (run.closed or 0.0) + LAST_TASK):
        ways = tuple(how for how, ends in CLOSED_AS.items() if job.status in ends)
        expected["status"] = OneOf(ways)
    done = run.result.get("status") == "succeeded"
    if job.ended and (done or model.plain):
        # The search attribute has the percent of the last version.
        expected["progress"] = 100 if done else model.last.percent
    if done and run.versions:
        note = max(run.versions).note
        stored = ALL_STORED.fullmatch(note)
        if stored is None or stored[1] not in [each.name for each in model.books.pipeline[-1:]]:
            yield model.found("history", f"it succeeded, and its last note is {note!r}")
    if "priority" in run.memo:
        expected["memo.priority"] = model.planned["priority"]
    row = {"input": run.body, "tag": run.tag, "status": run.status, "progress": run.progress}
    row["memo"] = run.memo
    yield from model.differ("history", row, expected)
    for each in job.executions:
        yield from _in_order(model, each)
        yield from _permit(model, each)
        yield from _ordered(model, each)
        yield from _paused(model, each)
        yield from _tried(model, each)
    yield from _submission(model)
    yield from _runs(model)
    yield from _attempts(model)
    yield from _after_its_vendors(model)
    if job.ended and model.plain:
        yield from _asked_end(model)
        yield from _in_time(model)
        if model.books.mocked:
            yield from _stopped(model)


def _in_order(model: Model, run: Execution) -> Iterator[Finding]:
    """Expect a run's permit and activities between its start and its close, in their own order."""
    chains: list[tuple[str, list[float | None]]] = [
        (each.kind, [run.started, each.scheduled, each.started, each.ended, run.closed])
        for each in run.activities
    ]
    chains.append(("its permit", [run.started, run.granted, run.closed]))
    for name, moments in chains:
        known = [at for at in moments if at is not None]
        if known != sorted(known):
            yield model.found("history", f"{name} is out of order in its history")


def _permit(model: Model, run: Execution) -> Iterator[Finding]:
    """Expect every order after the permit, and under its number."""
    if run.orders and run.granted is None:
        yield model.found("permit", "ordered a stage, and no permit is in its history")
        return
    for order in run.orders:
        if order.at < (run.granted or 0.0):
            text = f"{order.step} {order.attempt} was ordered before the permit"
            yield model.found("permit", text)
        if order.token != run.token:
            text = f"{order.step} {order.attempt} was ordered under permit {order.token}"
            yield model.found("permit", text, run.token, order.token)


def _ordered(model: Model, run: Execution) -> Iterator[Finding]:
    """Expect attempts from 1 on, stage after stage, and each stage of a job that succeeded."""
    names = [each.name for each in model.books.pipeline]
    seen: dict[str, int] = {}
    # An attempt whose version the record did not take is ordered again, with a later version.
    refused = [each for each in run.activities if each.error_class == RECORD_STANDS]
    again = {(each.scheduled, each.task) for each in refused}
    for order in run.orders:
        if order.step not in names:
            yield model.found("orders", f"it ordered {order.step}, which is no stage of the plan")
            return
        before = seen.get(order.step, 0)
        if order.attempt != before + 1:
            yield model.found("orders", f"it ordered {order.step} {order.attempt} after {before}")
        seen[order.step] = order.attempt - ((order.at, order.task) in again)
        if any(names.index(other) > names.index(order.step) for other in seen):
            yield model.found("orders", f"it ordered {order.step} after a later stage")
    if run.result.get("status") == "succeeded" and list(seen) != names:
        ordered = ", ".join(seen)
        text = f"it succeeded, and ordered {ordered or 'nothing'}"
        yield model.found("orders", text, ", ".join(names), ordered)


def _paused(model: Model, run: Execution) -> Iterator[Finding]:
    """Expect a pause before each later attempt, which grows with the failures before it."""
    begun = {(m[1], int(m[2])): each for each in run.timers if (m := PAUSE.fullmatch(each.summary))}
    for order in (each for each in run.orders if each.attempt > 1):
        pause, least = begun.get((order.step, order.attempt)), BACK_OFF * (order.attempt - 1)
        seen = 0.0 if pause is None else min(pause.seconds, order.at - pause.at)
        if seen < least - LAG:
            text = f"{order.step} {order.attempt} was ordered after a pause of {duration(seen)}"
            yield model.found("attempts", text, duration(least), duration(seen))


def _tried(model: Model, run: Execution) -> Iterator[Finding]:
    """Expect in each order the words of the job's own input, and what was made of the stage before
    it; a pause before each later try, a fault of the vendor where a failure was injected, and a try
    for each such fault."""
    refused = {fault.external_id for fault in model.job.faults if fault.do == "refuse"}
    # Several faults may fail one call; of each kind it is one.
    kinds = Counter((f.external_id, f.where, f.do) for f in model.job.faults)
    least: dict[object, int] = {}
    for (name, where, do), count in kinds.items():
        if where == "submit" and do in CALL_FAILS:
            least[name] = max(count, least.get(name, 0))
    tries = Counter[str]()
    made = {task_of(each): each["source_url"] for each in run.results if each.get("source_url")}
    for each in run.activities:
        order = order_in(each.body)
        given, source = mapping(order.get("inputs")), mapping(order.get("source"))
        words = {f"inputs.{key}": run.body[key] for key in given.keys() & run.body.keys()}
        if "priority" in run.body and isinstance(order.get("request"), dict):
            words |= {"request.job_id": run.job_id, "request.priority": run.body["priority"]}
        if source:
            words |= {"source.url": made.get(task_of(source))}
        yield from model.differ("history", order, words)
        if model.books.struck:
            # An operator's reset begins a try at once, and a killed mock forgets its faults.
            continue
        earliest = each.scheduled + (each.attempt - 1) * each.pause
        if each.started is not None and each.started < earliest:
            text = f"{each.kind} began its try {each.attempt} without the pauses before it"
            yield model.found("history", text, timestamp(earliest), timestamp(each.started))
        if "attempt" not in each.body:
            continue
        name = f"{model.job_id}.{stage_of(each.body)}.{each.body['attempt']}"
        tries[name] += each.attempt
        # The history has no count of the tries of an activity that it has not seen end.
        known = each.outcome in ("completed", "failed") and run is model.run
        accepted = each.outcome == "completed" or each.error_class == GENERATION_FAILED
        wanted = least.get(name, 0) + accepted
        if known and tries[name] < wanted:
            text = f"faults failed submits of {name}, and it was tried {tries[name]} times"
            yield model.found("faults", text, wanted, tries[name])
        if INJECTED not in each.repeated_for:
            continue
        # A mock that was killed has forgotten its faults.
        noted = not any(map(model.books.was_killed, model.books.mocks))
        if name not in refused and noted and model.books.shows(stage_of(each.body)):
            text = f"{name} was refused by a fault that no vendor noted"
            yield model.found("faults", text)


def _submission(model: Model) -> Iterator[Finding]:
    """Expect that the run started while the runner waited for the answer."""
    started, clocks = model.job.executions[0].started, model.clocks
    expected: dict[str, Any] = {"status": 202, "problem": None}
    if model.books.is_default:
        expected["prompt"] = model.planned.get("prompt")
    if started is not None:
        expected["sent_at"] = Between(None, clocks.latest(SERVER, started))
        expected["answered_at"] = Between(clocks.earliest(SERVER, started), model.book.ended)
    for row in model.job.rows.get(raw.SUBMITS, ()):
        took = float(row["answered_at"]) - float(row["sent_at"])
        tries = {"tries": Number(1, 1 + took / TRY_AGAIN)}
        yield from model.differ(raw.SUBMITS, row, expected | tries)


def _runs(model: Model) -> Iterator[Finding]:
    """Expect the list of runs to show each run as its history has it; a run made by hand starts
    later."""
    if model.books.was_struck_by(model.job_id, RESET, START_AGAIN):
        return
    rows = {str(row.get("run_id")): row for row in model.job.rows.get(raw.EXECUTIONS, ())}
    for run in model.job.executions:
        row = rows.pop(run.run_id, None)
        if row is None:
            yield model.found("executions", f"run {run.run_id} is not in the list of runs")
            continue
        expected = {"tag": model.book.tag, "type": run.kind, "started": _near(run.started)}
        if run.closed is not None and row.get("closed") is not None:
            expected |= {"status": run.status, "closed": _near(run.closed)}
        yield from model.differ(raw.EXECUTIONS, row, expected)
    for run_id in rows:
        yield model.found("executions", f"run {run_id} is in the list, and has no history")


def _near(at: float | None) -> Between:
    return Between(None, None) if at is None else Between(at - LAG, at + LAG)


def _attempts(model: Model) -> Iterator[Finding]:
    """Expect no more attempts than allowed, and that none is given up before."""
    for each in model.run.versions:
        if (begun := BEGINS.fullmatch(each.note)) and int(begun[3]) != MOST_ATTEMPTS:
            yield model.found("attempts", each.note, MOST_ATTEMPTS, begun[3])
    for order in model.run.orders:
        if order.attempt > MOST_ATTEMPTS:
            text = f"{order.step} was tried {order.attempt} times"
            yield model.found("attempts", text, f"at most {MOST_ATTEMPTS}", order.attempt)
    if model.plain and model.run.failure and _classes(model.run)[-1:] == [GENERATION_FAILED]:
        at_last = model.run.orders[-1].attempt == MOST_ATTEMPTS
        if at_last and (told := model.run.failure[0]) != GENERATION_FAILED:
            text = (
                f"its last attempt ended with {GENERATION_FAILED}, and it was given up with {told}"
            )
            yield model.found("history.result", text, GENERATION_FAILED, told)
    code = _failure(model)
    if code in ATTEMPT_FAILED and (last := model.run.orders[-1].attempt) < MOST_ATTEMPTS:
        text = f"it was given up with {code} after attempt {last}"
        yield model.found("attempts", text, MOST_ATTEMPTS, last)


def _failure(model: Model) -> str | None:
    """Return why the last attempt ended badly, if that ended the job, too."""
    if not model.plain or model.job.status not in ("failed", "degraded"):
        return None
    last = _classes(model.run)[-1:]
    ended_by = [model.run.failure[0]] if model.run.failure else last
    return last[0] if last and last == ended_by else None


def _classes(run: Execution) -> list[str | None]:
    """Return how the activities failed that did so at the last stage that was ordered."""
    failed = (each for each in run.activities if each.outcome == "failed")
    steps = [order.step for order in run.orders[-1:]]
    return [each.error_class for each in failed if stage_of(each.body) in steps]


def _after_its_vendors(model: Model) -> Iterator[Finding]:
    """Expect that a job that has succeeded ended after the generations that it was made of."""
    end = model.job.finished if model.job.status == "succeeded" else None
    for made in model.job.generations:
        if end is None or made.finished is None or not made.good:
            continue
        if made.finished > end + model.clocks.between(made.step, SERVER):
            text = f"it ended {duration(made.finished - end)} before {made.external_id} did"
            least, seen = timestamp(made.finished), timestamp(end)
            yield model.found("jobs.job.finished_at", text, least, seen)


def _asked_end(model: Model) -> Iterator[Finding]:
    """Expect that a job whose last stage fails ends as asked: failed, or with what there is."""
    asked, status = model.books.run["plan"].get("on_video_failure"), model.job.status
    if status == "degraded" and asked != "image":
        text = "it ended degraded, and the plan did not ask for the image alone"
        yield model.found("jobs.job.status", text, "failed", status)
    at_last = [order.step for order in model.run.orders[-1:]] == [model.books.pipeline[-1].name]
    if status == "failed" and asked == "image" and at_last and _failure(model) is not None:
        text = "it failed at its last stage, and the plan asked for the image alone"
        yield model.found("jobs.job.status", text, "degraded", status)


def _in_time(model: Model) -> Iterator[Finding]:
    """Expect that nothing is ordered, and nothing succeeds, once the job's own time is over."""
    run, limit = model.run, model.run.limit
    # A worker that was frozen notices it late.
    if limit is None or run.granted is None or model.books.struck:
        return
    moments = [order.at for order in run.orders]
    if run.closed is not None and model.job.status in ("succeeded", "degraded"):
        moments.append(run.closed)
    took = max(moments, default=0.0) - run.granted
    if took > limit + IN_TIME:
        text = f"it went on for {duration(took)}, and its time was {duration(limit)}"
        yield model.found("history.limit", text, duration(limit), duration(took))


def _stopped(model: Model) -> Iterator[Finding]:
    """Expect that what a vendor can stop ends once its job clears the vendors."""
    drains = [a.started for a in model.run.activities if a.kind == "drain_job" and a.started]
    # A mock that was frozen hears of it late.
    disturbed = model.job.has_fault("submit", "poll") or model.books.struck
    for made in model.job.generations if drains and not disturbed else ():
        until = min(drains) + IN_TIME + model.clocks.between(made.step, SERVER)
        goes_on = made.step in STOPPED_BY_CANCEL and made.outcome != "cancelled"
        if goes_on and made.finished is not None and made.finished > until:
            text = f"{made.external_id} went on at the vendor, which was to be told to stop it"
            yield model.found(f"{made.step}_ledger.outcome", text, "cancelled", made.outcome)
