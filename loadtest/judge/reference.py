"""The reference model of a job: its states, as the plan and Temporal's history give them.

The history is the server's own export, and the plan follows from the seed. Here the history is
held against the plan, against itself, and against the ledgers as far as the job's end follows from
them; `shown` holds the job's other books against the model.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from math import inf
from typing import Any

from loadtest.books import raw
from loadtest.books.executions import DRAIN, GRANTED, PROGRESS, Execution, task_of
from loadtest.books.facts import mapping
from loadtest.books.model import OUTSIDE, RESET, START_AGAIN, Books, JobFacts, StageBook
from loadtest.books.prompts import priority, prompt, style
from loadtest.judge.clocks import RUNNER, SERVER, SLOW, Clocks
from loadtest.judge.compare import Begins, Between, Finding, Number, OneOf, Subject

BEGINS = re.compile(r"(?:\w+ stored; )?(\w+), attempt (\d+) of \d+")
STORED = re.compile(r"(\w+) stored\b.*", re.DOTALL)
REFUSED = re.compile(r"(\w+) refused: .*", re.DOTALL)
PERCENT = re.compile(r"(\d+) %")
PAUSE = re.compile(r"the pause before (\w+) (\d+)")
JOB_TIME = "the job may take"
OWN_FAULTS = ("NON_DETERMINISTIC_ERROR", "WORKFLOW_WORKER_UNHANDLED_FAILURE")
"""Causes of a failed workflow task that lie in the workflow's own code."""
CLEARING = "waiting until the vend"
CLEARED_AGAIN = "until the vendors are cleared again"
_ENDED = {"FAILED": "failed", "CANCELED": "cancelled"}
OWN_ENDS = ("COMPLETED", "FAILED", "CANCELED")
CLOSED_AS = {
    "COMPLETED": ("succeeded", "degraded"),
    "FAILED": ("failed",),
    "CANCELED": ("cancelled",),
    "TERMINATED": ("failed", "cancelled"),
    "TIMED_OUT": ("failed",),
}
"""The job statuses that fit the close of a run."""
PRIORITY = 3
HISTORY = "history"
INJECTED = "code injected"
"""The mocks' answer to a request that a fault refuses."""
RECORD_STANDS = "record_stands"
"""The code of an attempt that ends before its submit: the record has a later version."""
CALL_FAILS = ("refuse", "lose-reply", "reset", "accept-late")
"""Faults that fail the call that they meet."""
LAG = 0.05
"""Seconds by which the server's list of runs, a store of its own, may differ from histories."""
MOST_ATTEMPTS, BACK_OFF = 4, 1.0
"""Generations of a stage, and the seconds of pause for each failure before the next one."""
TRY_AGAIN = (0.2, 0.4, 0.8)
"""Least seconds before each further submission of a job."""
VENDOR_BUSY = "vendor_busy"
"""The code of a call that its vendor refuses for now; a mock refuses by a fault only."""
GENERATION_FAILED = "generation_failed"
"""The code of an attempt whose generation failed at its vendor."""
WAITED = {"attempt_timed_out": "deadline", "given_up": "give_up", "generation_lost": "lost"}
"""Failures that come after a limit of the stage, and the name of that limit."""
JOB_TIMED_OUT = "job_timed_out"
BAD_RESULT, FETCHES, GIVEN = "bad_result", 3, 60.0
"""The code of an attempt whose file is bad: the fetches before that, or seconds without a file."""
ATTEMPT_FAILED = ("attempt_timed_out", BAD_RESULT, GENERATION_FAILED, "generation_lost")
"""Failures after which another attempt is paid for."""
WAITING_TRIES = 6
"""A job whose call has failed so often says that it waits."""
FIRST_PAUSE = 0.05
"""Seconds of the first pause between two tries of a stage's call, as documented."""
BUSY = (429, 503)
"""Statuses of a refusal whose Retry-After is kept."""
REPORTED_EVERY = 2.0
"""Least seconds between two reports of a try's progress."""
IN_TIME = 5.0
"""Seconds within which a job notices the end of its time, and a vendor a cancel."""
STOPPED_BY_CANCEL = ("image",)
"""Services that can cancel a generation."""


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
    def single(self) -> bool:
        """True if the job had a single run, which ended by its own code."""
        return len(self.job.executions) == 1 and self.run.status in OWN_ENDS

    @property
    def plain(self) -> bool:
        """True if the history is complete as well: the server discarded nothing of it."""
        return self.single and not self.run.discarded

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
    if begins := BEGINS.fullmatch(note):
        state.status, state.step, state.percent = "running", begins[1], 0
        state.attempts[begins[1]] = int(begins[2])
    if (stored := STORED.fullmatch(note)) and stored[1] in urls:
        state.asset_url = urls[stored[1]]
    if refused := REFUSED.fullmatch(note):
        state.attempts[refused[1]] = max(0, state.attempts.get(refused[1], 0) - 1)
    if risen := PERCENT.fullmatch(note):
        state.percent = max(state.percent, int(risen[1]))
    return state


def of_job(model: Model) -> Iterator[Finding]:
    """Find where the job's history contradicts the plan, the submission or itself."""
    yield from _run(model)
    for run in model.job.executions:
        early = [lasted for lasted, limit in run.timeouts if lasted < limit]
        wrong = {"timeout": early, "cause": [cause for cause in run.causes if cause in OWN_FAULTS]}
        yield from model.differ(HISTORY, wrong, {key: [] for key in wrong}, "tasks[].")
        yield from _orders(model, run)
        yield from _reports(model, run)
        yield from _activities(model, run)
    yield from _submission(model)
    if model.job.ended and model.single:
        yield from _end(model)


def _run(model: Model) -> Iterator[Finding]:
    """Expect the planned input, a close that fits the job's end and was read, and the last
    version's percent."""
    run, job = model.run, model.job
    row: dict[str, Any] = {"input": run.body, "tag": run.tag, "status": run.status}
    row |= {"progress": run.progress, "memo": run.memo, "timeout": run.timeout}
    expected: dict[str, Any] = {
        f"input.{key}": value for key, value in model.planned.items() if key in run.body
    }
    # A job's time is limited by its own timer, at whose end the vendors are cleared.
    expected |= {"tag": model.book.tag, "timeout": 0.0}
    # A run that chaos ends while its last task writes the job's end learns of it by the answer to
    # that task; a frozen worker began it long before.
    written = job.changes[-1].at if job.changes and model.books.disturbed.get(job.job_id) else None
    outside = run.status in OUTSIDE and written is not None
    if job.ended and not (outside and (written or 0.0) < (run.closed or 0.0) + SLOW):
        ways = tuple(how for how, ends in CLOSED_AS.items() if job.status in ends)
        expected["status"] = OneOf(ways)
    done = run.result.get("status") == "succeeded"
    if not model.books.struck and (ended := model.books.run.get("ended_at")) is not None:
        row["closed"] = run.closed
        read = float(ended) + model.clocks.between(RUNNER, SERVER)
        # A run that is open then has no close in the history.
        expected["closed"] = Between(run.started, read, missing=True)
    if job.ended and model.plain:
        # The search attribute is set from the start, and to each percent that a version changes.
        percents = [0, *(state.percent for _, state in sorted(model.states.items()))]
        changed = [after for before, after in pairwise(percents) if after != before]
        expected["progress"] = [0, *changed]
    elif job.ended and done:
        row["progress"], expected["progress"] = run.progress[-1:], [100]
    if done and run.versions:
        row["note"] = max(run.versions).note
        expected["note"] = f"{model.books.pipeline[-1].name} stored"
    if "priority" in run.memo:
        expected["memo.priority"] = model.planned["priority"]
    yield from model.differ(HISTORY, row, expected)


def _orders(model: Model, run: Execution) -> Iterator[Finding]:
    """Expect orders after the permit and with its number, stage after stage, each attempt after a
    pause that grows with the failures before it, every stage of a job that succeeded, and one timer
    of the job's limit."""
    names, seen = [each.name for each in model.books.pipeline], dict[str, int]()
    pauses = {(m[1], int(m[2])): e for e in run.timers if (m := PAUSE.fullmatch(e.summary))}
    # An attempt whose version the record did not take is ordered again, with a later version.
    refused = [each for each in run.activities if each.error_class == RECORD_STANDS]
    again = {(each.scheduled, each.task) for each in refused}
    for order in run.orders:
        row, before = order._asdict(), seen.get(order.step, 0)
        furthest = max((names.index(other) for other in seen), default=0)
        expected: dict[str, Any] = {
            "step": OneOf(tuple(names[furthest:])),
            "at": Between(run.granted, None),
            "token": run.token,
            "attempt": min(before + 1, MOST_ATTEMPTS),
        }
        if order.attempt > 1:
            pause = pauses.get((order.step, order.attempt))
            row["pause"] = min(pause.seconds, order.at - pause.at) if pause else 0.0
            expected["pause"] = Number(BACK_OFF * (order.attempt - 1) - LAG, None)
        if order.step in (run.limits.get("gates") or ()):
            passed = (s.at for s in run.signalled(f"{GRANTED}{order.step}"))
            row["gate"], expected["gate"] = min(passed, default=None), Between(None, order.at)
        place = f"orders[{order.step}.{order.attempt}]."
        yield from model.differ(HISTORY, row, expected, place)
        if order.step not in names:
            return
        seen[order.step] = order.attempt - ((order.at, order.task) in again)
    permits = [(s.body.get("name"), s.body.get("token")) for s in run.signals if GRANTED in s.name]
    given = [(each.body.get("name"), each.body.get("token")) for each in run.releases]
    behind = names[: max((names.index(step) for step in seen), default=0)]
    row = {"permit": run.granted, "orders": [*seen]}
    row["release"] = [permit for permit in given if permit not in permits]
    row["kept"] = [each for each in permits if each[0] in behind and each not in given]
    # Waiting for the slot takes nothing of the job's time.
    since = -inf if model.books.struck else (inf if run.granted is None else run.granted)
    jobs = [each for each in run.timers if each.summary.startswith(JOB_TIME)]
    known = {CLEARED_AGAIN} if any(each.kind == DRAIN for each in run.activities) else set()
    row["timer"] = [each.seconds for each in jobs]
    row["timers"] = [
        each.summary or "no reason"
        for each in run.timers
        if not (PAUSE.fullmatch(each.summary) or each.summary in known)
        and (each not in jobs or each.at < since)
    ]
    expected = {"permit": Between(run.started, run.closed, missing=not run.orders)}
    expected |= {"release": [], "kept": [], "timers": []}
    if run.result.get("status") == "succeeded":
        expected["orders"] = names
    if run.orders and run.limit is not None:
        expected["timer"] = [run.limit]
    yield from model.differ(HISTORY, row, expected)


def _reports(model: Model, run: Execution) -> Iterator[Finding]:
    """Expect of an attempt few reports of its progress, and of each try one of a wait; and one at
    all if its vendor refused call after call, or worked for longer than the deadline."""
    job = model.job
    for order in run.orders if not model.books.struck else ():
        name = order.external_id
        own = [each for each in run.signalled(PROGRESS) if each.body.get("external_id") == name]
        waits = sum(bool(each.body.get("waiting")) for each in own)
        tries = [each for each in run.activities if each.external_id == name]
        most = 1 + (max((each.at for each in own), default=order.at) - order.at) / REPORTED_EVERY
        # The history has no count of the tries of an activity that it has not seen end.
        known = sum(a.attempt for a in tries) if all(a.ended for a in tries) else None
        late = max((float(a.limits.get("deadline") or inf) for a in tries), default=inf) + IN_TIME
        made = (g for g in job.generations if g.external_id == name and g.good)
        worked = max(((g.finished or 0.0) - (g.started or inf) for g in made), default=0.0)
        bent = job.has_fault("submit", "poll", "progress", external_id=name)
        heard = run.result.get("status") == "succeeded" and all(a.attempt < 2 for a in tries)
        least = worked > late and heard and not bent
        least |= any(a.attempt > WAITING_TRIES and INJECTED in a.repeated_for for a in tries)
        row = {"reports": len(own) - waits, "waits": waits}
        expected = {"reports": Number(0, most), "waits": Number(least and model.books.calm, known)}
        yield from model.differ(HISTORY, row, expected, f"orders[{order.step}.{order.attempt}].")


def _activities(model: Model, run: Execution) -> Iterator[Finding]:
    """Expect each activity within its run's time, the pauses between its tries, in each order the
    job's own input and the result of the stage before, an armed fault behind each injected failure,
    and a try for each such fault."""
    ordered = {each.external_id: each.at for each in reversed(run.orders)}
    work = next((each.heartbeat for each in run.activities if "stage" in each.order), None)
    tries = Counter[str]()
    made = {task_of(each): each["source_url"] for each in run.results if each.get("source_url")}
    # A mock that was killed has forgotten its faults.
    noted = not any(map(model.books.was_killed, model.books.mocks))
    limits = mapping(run.limits.get("stages"))
    for each in run.activities:
        order = each.order
        given, source = mapping(order.get("inputs")), mapping(order.get("source"))
        name, pause = each.external_id, 0.0
        met = [fault for fault in model.job.faults if fault.external_id == name]
        submits = [fault for fault in met if fault.where == "submit"]
        busy = [f for f in submits if f.do == "refuse" and f.given.get("status") in BUSY]
        # An operator's reset begins a try at once.
        if each.attempt > 1 and not model.books.struck:
            asked_for = (float(fault.given.get("retry_after") or 0.0) for fault in busy)
            pause = max([(each.attempt - 1) * each.pause, *asked_for])
        own = mapping(limits.get(each.stage))
        begun = each.started or each.scheduled
        if each.outcome == "failed" and each.error_class in WAITED:
            since = begun if each.error_class == "generation_lost" else ordered.get(name, begun)
            begun = max(begun, since + float(own.get(WAITED[each.error_class]) or 0.0) - LAG)
        expected: dict[str, Any] = {
            "scheduled": Between(run.started, run.closed),
            "started": Between(each.scheduled + each.silence + pause, run.closed, missing=True),
            "ended": Between(begun, run.closed, missing=True),
        }
        expected |= {f"order.limits.{key}": own[key] for key in each.limits.keys() & own.keys()}
        # A stage may add to what its job says.
        expected |= {
            f"order.inputs.{key}": given[key] if said and str(said) in str(given[key]) else said
            for key, said in run.body.items()
            if key in given
        }
        if "priority" in run.body and isinstance(order.get("request"), dict):
            expected["order.request.job_id"] = run.job_id
            expected["order.request.priority"] = run.body["priority"]
        if (task := task_of(source)) in made:
            expected["order.source.url"] = made[task]
        elif source.get("url"):
            others = [r for r in run.results if not str(r.get("asset_url")).endswith(each.stage)]
            tasks = dict.fromkeys(task_of(r) for r in others if r.get("source_url"))
            expected["order.source.vendor_id"] = OneOf(tuple(tasks))
        row: dict[str, Any] = {"scheduled": each.scheduled, "started": each.started}
        row |= {"ended": each.ended, "order": order}
        if "stage" in order or each.kind == DRAIN:
            # Without both, a killed worker's job does not go on elsewhere.
            row |= {"heartbeat": each.heartbeat, "most": each.most, "pause": each.pause}
            expected |= {"most": 0, "pause": Number(None, FIRST_PAUSE)}
            # A callback ends the wait for one as well, so that it may be taken over late.
            expected["heartbeat"] = Number(1e-3, None if each.body.get("hinted") is False else work)
        if "accepted_at" in each.result and not model.books.struck:
            # What the vendor had before the last try, an earlier one may have noted.
            theirs = (g.accepted or 0.0 for g in model.job.generations if g.external_id == name)
            since = begun if min(theirs, default=0.0) >= begun else each.scheduled
            row["result"] = each.result
            expected["result.accepted_at"] = Between(since - LAG, (each.ended or inf) + LAG)
        lasted = (each.ended or inf) - begun
        if noted and each.error_class == BAD_RESULT and each.outcome == "failed" and lasted < GIVEN:
            row["fetches"] = sum(fault.where == "result" for fault in met)
            expected["fetches"] = Number(FETCHES * model.books.shows(each.stage), None)
        if "attempt" in each.body and not model.books.struck:
            tries[name] += each.attempt
            # The history has no count of the tries of an activity that it has not seen end.
            if each.outcome in ("completed", "failed") and run is model.run:
                accepted = each.outcome == "completed" or each.error_class == GENERATION_FAILED
                row["tries"] = tries[name]
                # Faults of several kinds may fail one call, but only one of each kind.
                least = Counter(fault.do for fault in submits if fault.do in CALL_FAILS)
                expected["tries"] = Number(max(least.values(), default=0) + accepted, None)
            if noted and model.books.shows(each.stage):
                row["refused"] = INJECTED in each.repeated_for or each.error_class == VENDOR_BUSY
                expected["refused"] = row["refused"] and any(f.do == "refuse" for f in met)
                why = f"{each.error_class}: {each.error_message}"
                # A slow machine is no fault, and in no other book.
                if each.attempt > 1 and model.books.calm and "timeout" not in why.lower():
                    row["repeated"], expected["repeated"] = why, why if met else None
        yield from model.differ(HISTORY, row, expected, f"activities[{each.kind}].")


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
        most = sum(took >= sum(TRY_AGAIN[:count]) for count in range(len(TRY_AGAIN)))
        tries = {"tries": Number(1, most + took)}
        yield from model.differ(raw.SUBMITS, row, expected | tries)


def _end(model: Model) -> Iterator[Finding]:
    """Expect a failed job to give the reason of its last attempt's failure, to have used up its
    attempts, and to end as asked: failed, or degraded. Expect nothing after the job's own time."""
    run, status = model.run, model.job.status
    asked = model.books.run["plan"].get("on_video_failure")
    order = run.orders[-1] if run.orders else None
    if order is not None and status in ("failed", "degraded"):
        failed = [a for a in run.activities if a.outcome == "failed"]
        last = next((a for a in failed[::-1] if a.stage == order.step), None)
        code = last.error_class if last else None
        said = run.failure[0] if run.failure else code
        used_up = order.attempt == MOST_ATTEMPTS
        if code == GENERATION_FAILED and used_up:
            yield from model.differ(HISTORY, {"failure": said}, {"failure": code})
        if code in ATTEMPT_FAILED and code == said:
            yield from model.differ(
                HISTORY, order._asdict(), {"attempt": MOST_ATTEMPTS}, "orders[last]."
            )
        if last and run.failure and code == said:
            reason = Begins(str(last.error_message))
            yield from model.differ(HISTORY, {"failure": run.failure[1]}, {"failure": reason})
        at_last = order.step == model.books.pipeline[-1].name
        if status == "failed" and asked == "image" and at_last and code and code == said:
            yield from model.differ(raw.JOBS, {"status": status}, {"status": "degraded"}, "job.")
    if status == "degraded" and asked != "image":
        yield from model.differ(raw.JOBS, {"status": status}, {"status": "failed"}, "job.")
    # A worker or a mock that was frozen notices it late.
    if run.granted is None or model.books.struck:
        return
    if run.failure and run.failure[0] == JOB_TIMED_OUT and run.closed is not None:
        took = {"limit": run.closed - run.granted}
        yield from model.differ(HISTORY, took, {"limit": Number(run.limit, None)})
    moments = [order.at for order in run.orders]
    if run.closed is not None and status in ("succeeded", "degraded"):
        moments.append(run.closed)
    took = {"limit": max(moments, default=0.0) - run.granted}
    most = None if run.limit is None else run.limit + IN_TIME
    yield from model.differ(HISTORY, took, {"limit": Number(None, most)})
    drains = [a for a in run.activities if a.kind == DRAIN and a.started]
    for made in model.job.generations if drains and model.books.mocked else ():
        slack = model.clocks.between(made.step, SERVER)
        until = min((run.cancelled or inf) + IN_TIME, drains[0].started or 0.0) + IN_TIME + slack
        late = made.finished is not None and made.finished > until
        if late and made.step in STOPPED_BY_CANCEL and not model.job.has_fault("submit", "poll"):
            stopped = {"outcome": "cancelled"}
            yield from model.differ(raw.ledger(made.step), made.row, stopped)
        # What the vendor had made by then was paid for.
        paid = made.good and (made.finished or inf) + slack < (drains[-1].ended or 0.0)
        there = model.job.record.assets if model.job.record else {}
        bent = model.job.has_fault("poll", "progress", "result")
        if paid and made.wanted not in there and not bent:
            text = f"{made.external_id} succeeded before its vendor was clear, and was not kept"
            yield model.found("files", text)
