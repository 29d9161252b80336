"""The reference model of a job: what its history and the plan say that its other books must be.

The history is the server's own export, the plan follows from the seed. From these two follow the
record and its versions, the list, the feed, the list of runs and the stored files, field by field.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from loadtest.books import raw
from loadtest.books.facts import mapping
from loadtest.books.histories import PROGRESS, Activity, Execution, Written, stage_of
from loadtest.books.model import DEFAULT, ENDS, RESET, START_AGAIN, Books, JobFacts, StageBook
from loadtest.books.prompts import priority, prompt, style
from loadtest.judge.clocks import Clocks
from loadtest.judge.compare import At, Begins, Between, Finding, OneOf, differences

BEGINS = re.compile(r"(?:\w+ stored; )?(\w+), attempt (\d+) of \d+")
STORED = re.compile(r"(\w+) stored\b.*", re.DOTALL)
REFUSED = re.compile(r"(\w+) refused: .*", re.DOTALL)
PERCENT = re.compile(r"(\d+) %")
CLEARING = "waiting until the vend"
_ENDED = {"FAILED": "failed", "CANCELED": "cancelled"}
CLOSED_AS = {
    "COMPLETED": ("succeeded", "degraded"),
    "FAILED": ("failed",),
    "CANCELED": ("cancelled",),
    "TERMINATED": ("failed", "cancelled"),
    "TIMED_OUT": ("failed",),
}
"""How a run closed, and what may be shown of its job then."""
HISTORY, PRIORITY = "history", 3
RECORD_STANDS = "record_stands"
"""The code of an attempt that ends before its submit: the record has a later version."""
LAST_TASK = 2.0
"""A worker learns of an end from outside with the answer to the task in hand: in its time-out."""
FEW = 50
"""Jobs whose changes a listener of the feed never lags behind: the API keeps 256 for it."""


@dataclass(slots=True)
class State:
    """A job as of one version."""

    status: str = "queued"
    step: str | None = None
    percent: int = 0
    attempts: dict[str, int] = field(default_factory=dict)
    asset_url: str | None = None
    cleared: bool = False
    """Whether the vendors were cleared: what they had paid for is added then."""

    @property
    def attempt(self) -> int:
        return self.attempts.get(self.step or "", 0)


@dataclass(slots=True)
class Model:
    """One job as the witnesses have it."""

    job: JobFacts
    stage: StageBook
    books: Books
    clocks: Clocks
    run: Execution
    states: dict[int, State] = field(default_factory=dict)

    @property
    def plain(self) -> bool:
        """Whether the history tells everything: a single run, which ended by its own code, and of
        whose work the server threw nothing away."""
        own = self.run.status in ("COMPLETED", "FAILED", "CANCELED")
        return len(self.job.executions) == 1 and own and not self.run.thrown

    @property
    def last(self) -> State:
        return self.states[max(self.states)] if self.states else State()


def model_of(job: JobFacts, stage: StageBook, books: Books, clocks: Clocks) -> Model:
    """The job's states, version after version, as its newest run wrote them.

    A run that chaos has made behind it orders nothing, and the record is of the one before.
    """
    run = job.executions[-1]
    if job.record is not None and books.done_to(job.job_id, RESET, START_AGAIN):
        run = next((each for each in job.executions if each.run_id == job.record.run_id), run)
    model = Model(job, stage, books, clocks, run)
    names = [each.name for each in books.pipeline]
    state = State(attempts=dict.fromkeys(names, 0))
    urls = {
        str(r["asset_url"]).rpartition("/")[2]: r["asset_url"]
        for r in run.results
        if r.get("asset_url")
    }
    written = {each.version: each for each in run.versions}
    for version in sorted(written):
        state = _next(state, written[version].note, urls)
        model.states[version] = state
    if written and run.status in ("COMPLETED", "FAILED", "CANCELED"):
        state.status = str(run.result.get("status") or _ENDED.get(run.status, "failed"))
        state.percent = 100 if state.status == "succeeded" else state.percent
    return model


def _next(before: State, note: str, urls: dict[str, Any]) -> State:
    """What a version changes, as its note in the history says."""
    state = State(
        before.status, before.step, before.percent, dict(before.attempts), before.asset_url,
        before.cleared or CLEARING in note,
    )  # fmt: skip
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


def of_job(model: Model) -> Iterator[Finding]:
    """Every field of the job's books that is not what the witnesses say."""
    yield from _history(model)
    yield from _submission(model)
    yield from _runs(model)
    if model.job.ended:
        yield from _record(model)
        yield from _files(model)
    yield from _feed(model)


def _differ(
    model: Model, file: str, row: Any, expected: dict[str, Any], prefix: str = ""
) -> Iterator[Finding]:
    job = model.job
    return differences(file, row, expected, job_id=job.job_id, stage=job.stage, prefix=prefix)


def found(model: Model, rule: str, text: str, expected: object = "", seen: object = "") -> Finding:
    """Return what convicts the model's job: the rule, and both sides as text."""
    return Finding(rule, model.job.job_id, model.job.stage, text, str(expected), str(seen))


def task_of(result: Mapping[str, Any]) -> str:
    """Return the vendor's id in an activity's result, without what a vendor writes before it."""
    return str(result.get("vendor_id")).rpartition("/")[2]


def planned(model: Model) -> dict[str, Any]:
    """What the plan says of the job; nothing of a job that no submission was given."""
    sent = model.job.submission
    said: dict[str, Any] = {"tag": model.stage.tag, "priority": PRIORITY}
    plan = model.books.run["plan"]
    said["on_video_failure"] = plan.get("on_video_failure")
    if sent is not None and model.books.is_default and isinstance(plan.get("seed"), int):
        said["prompt"] = prompt(plan["seed"], model.stage.number, sent.index)
        said["style"] = style(plan["seed"], model.stage.number, sent.index)
    if sent is not None and plan.get("priorities") and isinstance(plan.get("seed"), int):
        said["priority"] = priority(plan["seed"], model.stage.number, sent.index)
    if model.books.struck:
        # What chaos asked of this job.
        [row, *_] = model.job.rows.get(raw.SUBMITS) or [{}]
        said |= mapping(row.get("asked"))
    return said


def _history(model: Model) -> Iterator[Finding]:
    """The run is of the job that was planned, it had a permit, and all it did came behind that."""
    run, job = model.run, model.job
    known = planned(model).items()
    expected: dict[str, Any] = {f"input.{key}": v for key, v in known if key in run.body}
    expected["tag"] = model.stage.tag
    if job.ended and not _ended_both_ways(model):
        expected["status"] = OneOf(
            tuple(how for how, ends in CLOSED_AS.items() if job.status in ends)
        )
    done = run.result.get("status") == "succeeded"
    if job.ended and (done or model.plain):
        # The search attribute has the percent of the last version.
        expected["progress"] = 100 if done else model.last.percent
    row = {"input": run.body, "tag": run.tag, "status": run.status, "progress": run.progress}
    yield from _differ(model, HISTORY, row, expected)
    for each in job.executions:
        yield from _in_order(model, each)
        yield from _permit(model, each)
        yield from _ordered(model, each)


def _ended_both_ways(model: Model) -> bool:
    """Whether chaos ended a run just as its last task wrote the job's end: what that record says is
    true, and the run never heard of it."""
    run, record = model.run, model.job.record
    if record is None or not model.books.disturbed.get(model.job.job_id):
        return False
    last = record.transitions[-1].at if record.transitions else None
    ended = run.status in ("TERMINATED", "TIMED_OUT") and None not in (run.closed, last)
    return ended and abs((last or 0.0) - (run.closed or 0.0)) < LAST_TASK


def _in_order(model: Model, run: Execution) -> Iterator[Finding]:
    """What a run has lies between its start and its close, each activity in its own order."""
    chains: list[tuple[str, list[float | None]]] = [
        (each.kind, [run.started, each.scheduled, each.started, each.ended, run.closed])
        for each in run.activities
    ]
    chains.append(("its permit", [run.started, run.granted, run.closed]))
    for name, moments in chains:
        known = [at for at in moments if at is not None]
        if known != sorted(known):
            yield found(model, "history", f"{name} is out of order in its history")


def _permit(model: Model, run: Execution) -> Iterator[Finding]:
    """Nothing is ordered before the permit, and everything under its number."""
    if not run.orders:
        return
    if run.granted is None:
        yield found(model, "permit", "ordered a stage, and no permit is in its history")
        return
    for order in run.orders:
        if order.at < run.granted:
            yield found(
                model, "permit", f"{order.step} {order.attempt} was ordered before the permit"
            )
        if order.token != run.token:
            text = f"{order.step} {order.attempt} was ordered under permit {order.token}"
            yield found(model, "permit", text, str(run.token), str(order.token))


def _ordered(model: Model, run: Execution) -> Iterator[Finding]:
    """Attempts are ordered from 1 on, stage after stage; who succeeds has been through each."""
    names = [each.name for each in model.books.pipeline]
    seen: dict[str, int] = {}
    # An attempt whose version the record did not take is ordered again, with a later version.
    refused = [each for each in run.activities if each.error_class == RECORD_STANDS]
    again = {(each.scheduled, each.task) for each in refused}
    for order in run.orders:
        if order.step not in names:
            yield found(model, "orders", f"it ordered {order.step}, which is no stage of the plan")
            return
        if order.attempt != seen.get(order.step, 0) + 1:
            text = f"it ordered {order.step} {order.attempt} behind {seen.get(order.step, 0)}"
            yield found(model, "orders", text)
        seen[order.step] = order.attempt - ((order.at, order.task) in again)
        if any(names.index(other) > names.index(order.step) for other in seen):
            yield found(model, "orders", f"it ordered {order.step} behind a later stage")
    if run.result.get("status") == "succeeded" and list(seen) != names:
        text = f"it succeeded, and ordered {', '.join(seen) or 'nothing'}"
        yield found(model, "orders", text, ", ".join(names), ", ".join(seen))


def _submission(model: Model) -> Iterator[Finding]:
    """The run was started while the runner waited for the answer."""
    started, clocks = model.job.executions[0].started, model.clocks
    row: dict[str, Any]
    for row in model.job.rows.get(raw.SUBMITS, ()):
        expected: dict[str, Any] = {"status": 202, "problem": None}
        if model.books.is_default:
            expected["prompt"] = planned(model).get("prompt")
        if started is not None:
            expected["sent_at"] = Between(None, clocks.latest("server", started))
            expected["answered_at"] = Between(clocks.earliest("server", started), model.stage.ended)
        yield from _differ(model, raw.SUBMITS, row, expected)


def _runs(model: Model) -> Iterator[Finding]:
    """The list of runs shows each run as its history has it; a run made by hand starts later."""
    if model.books.done_to(model.job.job_id, RESET, START_AGAIN):
        return
    rows = {str(row.get("run_id")): row for row in model.job.rows.get(raw.EXECUTIONS, ())}
    for run in model.job.executions:
        row = rows.pop(run.run_id, None)
        if row is None:
            yield found(model, "executions", f"run {run.run_id} is not in the list of runs")
            continue
        expected: dict[str, Any] = {"tag": model.stage.tag, "type": run.kind}
        expected["started"] = _near(run.started)
        if run.closed is not None and row.get("closed") is not None:
            expected |= {"status": run.status, "closed": _near(run.closed)}
        yield from _differ(model, raw.EXECUTIONS, row, expected)
    for run_id in rows:
        yield found(model, "executions", f"run {run_id} is in the list, and has no history")


LAG = 0.05
"""The list of runs is another store of the server's, a moment behind the histories."""


def _near(at: float | None) -> Between:
    return Between(None, None) if at is None else Between(at - LAG, at + LAG)


def _record(model: Model) -> Iterator[Finding]:
    """Record and list, each field."""
    shown = _job(model)
    for row in model.job.rows.get(raw.JOBS, ()):
        expected = {"listed": True} | {f"job.{name}": value for name, value in shown.items()}
        yield from _differ(model, raw.JOBS, row, _there(row, expected, "job"))
    for row in model.job.rows.get(raw.STATES, ()):
        record = row.get("record")
        yield from _differ(model, raw.STATES, row, {"problem": None})
        if not isinstance(record, dict):
            continue
        noted = shown | _kept(model)
        yield from _differ(model, raw.STATES, record, _there(record, noted), prefix="record.")
        yield from _versions(model, record)


def _there(row: dict[str, Any], expected: dict[str, Any], part: str = "") -> dict[str, Any]:
    """What a pipeline's jobs may lack, such as a style, is expected only where it is."""
    body = row.get(part) if part else row
    known = set(body) if isinstance(body, dict) else set()
    lacking = {"prompt", "style", "priority", "input", "pipeline"} - known
    return {
        path: value
        for path, value in expected.items()
        if path.removeprefix(f"{part}.").partition(".")[0] not in lacking
    }


def _job(model: Model) -> dict[str, Any]:
    """What list and record show of the job at its end."""
    run, last = model.run, model.last
    said = planned(model)
    said.pop("on_video_failure", None)
    expected: dict[str, Any] = {"job_id": model.job.job_id, **said}
    expected |= {"created_at": At(run.started)} if len(model.job.executions) == 1 else {}
    expected |= {"queue_position": None, "vendor_position": None}
    expected["pipeline"] = model.books.run.get("pipeline", DEFAULT)
    if not model.plain or not model.states:
        # The record may have been ended by others, or hold what no history tells.
        low = max(model.states, default=0)
        expected["version"] = Between(low, None, moment=False)
        expected["finished_at"] = Between(run.started, None)
        return expected
    times = {each.version: _instant(each) for each in run.versions}
    begun = next(
        (
            times[v]
            for v in sorted(model.states)
            if model.states[v].status != "queued" and model.states[v].step
        ),
        None,
    )
    versions = sorted(model.states)
    expected |= {
        "status": last.status,
        "step": last.step,
        "percent": last.percent,
        "asset_url": _url(model, last),
        "version": versions[-1],
        "started_at": begun or At(None),
        "finished_at": times[versions[-1]],
        **{f"attempts.{step}": _count(n, last) for step, n in last.attempts.items()},
    }
    if run.result:
        same = {
            key: run.result[key] for key in ("step", "status", "percent", "asset_url", "version")
        }
        expected |= same | {f"attempts.{s}": n for s, n in run.result["attempts"].items()}
    expected |= _error(model)
    return expected


def _error(model: Model) -> dict[str, Any]:
    """Why it ended badly, as its run was closed with; of a degraded one, as an activity failed."""
    match model.last.status:
        case "failed" if model.run.failure is not None:
            return {"error.code": model.run.failure[0], "error.message": model.run.failure[1]}
        case "cancelled":
            return {"error.code": "cancelled"}
        case "degraded":
            codes = {
                each.error_class for each in model.run.activities if each.outcome != "completed"
            }
            return {"error.code": OneOf(tuple(sorted(filter(None, codes))))}
        case "succeeded":
            return {"error": None}
    return {}


def _count(number: int, state: State) -> Any:
    """Attempts; what a clean-up has found is paid is counted, too."""
    return Between(max(0, number - 1), number + 1, moment=False) if state.cleared else number


def _url(model: Model, state: State) -> Any:
    if not state.cleared:
        return state.asset_url
    base = f"/jobs/{model.job.job_id}/"
    urls = {str(row["job"].get("asset_url")) for row in model.job.rows.get(raw.JOBS, ())}
    return OneOf((state.asset_url, *sorted(url for url in urls if base in url)))


def _kept(model: Model) -> dict[str, Any]:
    """What the record holds for a recovery, and the results."""
    run = model.run
    expected: dict[str, Any] = {
        "run_id": run.run_id,
        "namespace": model.books.run.get("namespace"),
    }
    words = run.body.keys() - {"prompt", "style", "tag", "priority"}
    expected |= {f"input.{word}": run.body[word] for word in words}
    if not model.plain:
        return expected
    begun = any(state.step for state in model.states.values())
    expected["token"] = run.token if begun else None
    if model.last.status == "succeeded":
        expected["tasks"] = _tasks(model)
        expected["units"] = _units(model)
        for step, asset in results(run).items():
            expected[f"assets.{step}"] = asset
        expected |= {
            f"assets.{each.name}": results(run).get(each.name) for each in model.books.pipeline
        }
    return expected


def results(run: Execution) -> dict[str, dict[str, Any]]:
    """The file that each stage brought back, as the last one that did tells it."""
    brought: dict[str, dict[str, Any]] = {}
    for result in run.results:
        if isinstance(asset := result.get("asset"), dict):
            brought[str(result.get("asset_url")).rpartition("/")[2]] = asset
    return brought


def _tasks(model: Model) -> dict[str, str]:
    """The vendor's id of each task whose acceptance an activity of its own brought back."""
    return {
        external_id(model, each): str(each.result["vendor_id"])
        for each in model.run.activities
        if each.result.get("accepted_at") and "attempt" in each.body
    }


def _units(model: Model) -> dict[str, Any]:
    return {k: v for result in model.run.results for k, v in (result.get("units") or {}).items()}


def external_id(model: Model, activity: Activity) -> str:
    body = activity.body.get("order") or activity.body
    return f"{model.job.job_id}.{stage_of(body)}.{body.get('attempt')}"


def _versions(model: Model, record: dict[str, Any]) -> Iterator[Finding]:
    """Each version, as the workflow task that wrote it says."""
    rows = [row for row in record.get("transitions") or () if isinstance(row, dict)]
    written = {each.version: each for each in model.run.versions}
    reported = _reported(model)
    before: float | None = None
    rule, count = "states.record.transitions[].version", len(model.states)
    if model.plain and len(rows) != count:
        text = f"its record has {len(rows)} versions, its history {count}"
        yield found(model, rule, text, count, len(rows))
    elif not model.plain and len(rows) != record.get("version"):
        text = f"its record has {len(rows)} versions, and says {record.get('version')}"
        yield found(model, rule, text, record.get("version"), len(rows))
    if len(ended := [row for row in rows if row.get("status") in ENDS]) > 2:
        text = f"its record tells its end {len(ended)} times"
        yield found(model, rule, text, "at most 2", len(ended))
    for number, row in enumerate(rows, 1):
        expected: dict[str, Any] = {"version": number, "at": Between(before, None)}
        change = written.get(number)
        if model.plain and change is not None:
            state = model.states[number]
            last = number == max(model.states)
            expected |= {
                "at": _instant(change),
                "note": _note(change.note),
                "status": state.status,
                "step": state.step,
                "percent": state.percent,
                "attempt": _count(state.attempt, state),
                "asset_url": _url(model, state),
                "vendor_position": OneOf((None, *reported)),
                **{f"attempts.{step}": _count(n, state) for step, n in state.attempts.items()},
            }
            expected |= _error(model) if last else {"error": None}
            if last and model.run.result:
                expected["asset_url"] = model.run.result["asset_url"]
        else:
            last_ = rows[number - 2] if number > 1 else {}
            if last_.get("status") in ENDS:
                expected["status"] = last_["status"]
            elif row.get("status") not in ENDS:
                expected["status"] = OneOf(("queued", "running"))
            if all(row.get(key) == last_.get(key) for key in ("step", "attempt")):
                expected["percent"] = Between(last_.get("percent"), None, moment=False)
        yield from _differ(model, raw.STATES, row, expected, f"record.transitions[{number}].")
        before = expected["at"].at if isinstance(expected["at"], At) else before


def _instant(change: Written) -> At | Between:
    return (
        At(change.at)
        if change.since == change.at
        else Between(change.since - 1e-5, change.at + 1e-5)
    )


def _note(told: str) -> Any:
    """A summary is short: of a long note the history has the beginning."""
    return Begins(told.removesuffix("…")) if told.endswith("…") else told


def _reported(model: Model) -> tuple[int, ...]:
    """Places in a vendor's queue that activities have reported."""
    bodies = (signal.body for signal in model.run.signalled(PROGRESS))
    return tuple({body["position"] for body in bodies if isinstance(body.get("position"), int)})


def _files(model: Model) -> Iterator[Finding]:
    """Each stored file is the one that the history brought, and what a vendor made shows in it."""
    needed = {
        "succeeded": [each.name for each in model.books.pipeline],
        "degraded": [each.name for each in model.books.pipeline][:-1],
    }.get(str(model.job.status), [])
    brought = results(model.run)
    rows = {str(row.get("kind")): row for row in model.job.rows.get(raw.FILES, ())}
    for kind in needed:
        row = rows.get(kind)
        if row is None:
            yield found(model, "files", f"nobody has looked at its {kind}")
            continue
        expected: dict[str, Any] = {"problem": None}
        if model.plain and kind in brought:
            expected |= {"bytes": brought[kind]["size"], "sha256": brought[kind]["sha256"]}
        elif model.job.record is not None and (noted := model.job.record.assets.get(kind)):
            expected |= {"bytes": noted.size, "sha256": noted.sha256}
        made = {
            g.shows
            for g in model.job.of(kind)
            if g.good and g.shows and _is_kept(model, g.vendor_id)
        }
        if made and model.books.shows(kind):
            expected["shows"] = OneOf(tuple(sorted(made)))
        yield from _differ(model, raw.FILES, row, expected)


def _is_kept(model: Model, vendor_id: str) -> bool:
    kept = {task_of(result) for result in model.run.results}
    return not kept or vendor_id in kept


def _feed(model: Model) -> Iterator[Finding]:
    """A frame shows a version as its record has it, behind its instant, and none goes back."""
    noted = {change.version: change for change in model.job.changes}
    newest = -1
    for row in model.job.rows.get(raw.FRAMES, ()):
        version, change = row.get("version"), noted.get(row.get("version") or 0)
        expected: dict[str, Any] = {"source": OneOf(("ws", "poll"))}
        if version == 0:
            expected |= {"status": "queued", "step": None, "percent": 0}
        elif change is not None:
            expected |= {"status": change.status, "step": change.step, "percent": change.percent}
            if model.plain and change.at is not None:
                low = model.clocks.earliest("server", change.at)
                expected["at"] = Between(low, model.stage.ended)
        elif noted:
            expected["version"] = OneOf(tuple(sorted(noted)))
        yield from _differ(model, raw.FRAMES, row, expected)
        if row.get("source") == "ws" and isinstance(version, int):
            if version < newest:
                yield found(
                    model,
                    "frames.version",
                    f"the feed went back from version {newest} to {version}",
                )
            newest = max(newest, version)
    if model.books.done and model.job.ended:
        seen = {row.get("version") for row in model.job.rows.get(raw.FRAMES, ())}
        missed = {*sorted(noted)[-1:]} - seen
        if model.stage.feeds == 1 and len(model.stage.jobs) <= FEW:
            # The API may learn of a job late, and then shows nothing from before.
            first = min((each for each in seen if isinstance(each, int)), default=0)
            missed |= {version for version in noted if version > first} - seen
        if missed:
            text = f"the feed never showed version {', '.join(map(str, sorted(missed)))}"
            yield found(model, "frames.version", text)
