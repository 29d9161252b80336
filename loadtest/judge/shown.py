"""Hold what is shown of a job against its reference model: list, record, files and feed."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from hashlib import blake2b
from itertools import pairwise
from math import inf
from typing import Any

from loadtest.books import raw
from loadtest.books.executions import PROGRESS, Execution, Written, task_of
from loadtest.books.facts import mapping
from loadtest.books.model import DEFAULT, ENDS, OUTSIDE, RESET, START_AGAIN, STEPS, Books, StageBook
from loadtest.judge.clocks import FAR, SERVER
from loadtest.judge.compare import EXACT, Begins, Between, Finding, Number, OneOf, Subject, exactly
from loadtest.judge.ledgers import SHOWN
from loadtest.judge.reference import ATTEMPT_FAILED, LAG, MOST_ATTEMPTS, Model, State
from loadtest.times import instant, timestamp

OPTIONAL = {"prompt", "style", "priority", "input", "pipeline"}
"""Fields that the jobs of some pipelines lack."""
FAILED = re.compile(r"(\w+), attempt (\d+) failed: ")
MOST_ENDS = 2
"""Versions that may have an end: a clean-up may amend it once."""
STILL = 18
"""Most samples of the slot that the API answers before its feed shows a change: after a list of its
folder that took a second, it pauses for ten."""
FEW = 50
"""Most jobs for which a listener of the feed never lags: the API keeps 256 changes for it."""

NEAR = 16
"""By how much a colour of a film may be off its picture's, of 256 shades."""


def of_job(model: Model) -> Iterator[Finding]:
    """Find every shown field that differs from the model."""
    if model.job.ended:
        shown = _job(model)
        for row in model.job.rows.get(raw.JOBS, ()):
            yield from model.differ(raw.JOBS, row["job"], _there(row["job"], shown), "job.")
        for row in model.job.rows.get(raw.STATES, ()):
            if isinstance(record := row.get("record"), dict):
                expected = _there(record, shown | _kept(model))
                yield from model.differ(raw.STATES, record, expected, "record.")
                yield from _versions(model, record)
        yield from _files(model)
    yield from _runs(model)
    yield from _feed(model)


def of_stage(stage: StageBook, books: Books) -> Iterator[Finding]:
    """Expect that the API shows a job's changes as long as it answers at all.

    Behind a feed that was cut, the runner reads the list, more seldom the longer that takes.
    """
    looks = sorted(sample.at for sample in stage.samples)
    for job in stage.jobs.values() if not books.struck and stage.feeds == 1 else ():
        rows = job.rows.get(raw.FRAMES, ())
        frames = sorted(at for row in rows if (at := instant(row.get("at"))) is not None)
        changes = sorted(change.at for change in job.changes if change.at is not None)
        for before, after in pairwise(frames):
            place = bisect_right(changes, before + FAR)
            at = changes[place] if place < len(changes) else inf
            if bisect_left(looks, after) - bisect_right(looks, at) >= STILL:
                text = f"it changed at {timestamp(at)}, and until {timestamp(after)} was not shown"
                yield Subject(job.job_id, stage.number).found("frames.at", text)


def _there(body: dict[str, Any], expected: dict[str, Any]) -> dict[str, Any]:
    lacking = OPTIONAL - body.keys()
    return {k: value for k, value in expected.items() if k.partition(".")[0] not in lacking}


def _job(model: Model) -> dict[str, Any]:
    """Return what list and record show of the job at its end."""
    run = model.run
    expected: dict[str, Any] = {"job_id": model.job_id, **model.planned}
    expected |= {"queue_position": None, "vendor_position": None}
    expected["pipeline"] = model.books.run.get("pipeline", DEFAULT)
    del expected["on_video_failure"]
    if len(model.job.executions) == 1:
        expected["created_at"] = exactly(run.started)
    if not model.plain or not model.states:
        # Others may have ended the record, or it holds what no history has.
        expected["version"] = Number(max(model.states, default=0), None)
        expected["finished_at"] = Between(run.started, None)
        # Who ends a job from outside gives it the reason.
        code = str(model.job.api[0].error_code).upper()
        if len(model.job.executions) == 1 and code in OUTSIDE:
            expected["error.code"] = run.status.lower()
        return expected
    times = {each.version: _instant(each) for each in run.versions}
    started = (v for v, s in sorted(model.states.items()) if s.status != "queued" and s.step)
    newest = max(model.states)
    expected |= _version(model, newest) | {"version": newest, "finished_at": times[newest]}
    expected["started_at"] = times.get(next(started, 0))
    if run.result:
        expected |= {key: run.result[key] for key in ("step", "status", "percent", "version")}
        expected |= {f"attempts.{step}": n for step, n in run.result["attempts"].items()}
    return expected


def _version(model: Model, number: int) -> dict[str, Any]:
    """Return what is shown of a version."""
    state, last = model.states[number], number == max(model.states)
    expected = {"status": state.status, "step": state.step, "percent": state.percent}
    expected |= {"asset_url": _url(model, state)} | (_error(model) if last else {"error": None})
    attempts = state.attempts.items()
    return expected | {f"attempts.{step}": _count(number, state) for step, number in attempts}


def _error(model: Model) -> dict[str, Any]:
    """Return the reason of a bad end: how the run was closed, or the failed activity of a degraded
    job."""
    match model.last.status:
        case "failed" if model.run.failure is not None:
            return {"error.code": model.run.failure[0], "error.message": model.run.failure[1]}
        case "cancelled":
            return {"error.code": "cancelled"}
        case "degraded":
            failed = (each for each in model.run.activities if each.outcome != "completed")
            codes = {each.error_class for each in failed}
            return {"error.code": OneOf(tuple(sorted(filter(None, codes))))}
        case "succeeded":
            return {"error": None}
    return {}


def _count(number: int, state: State) -> Any:
    """Expect this count of attempts; a clean-up counts what it finds charged, too."""
    return Number(max(0, number - 1), number + 1) if state.cleared else number


def _url(model: Model, state: State) -> Any:
    if not state.cleared:
        return state.asset_url
    urls = {str(row["job"].get("asset_url")) for row in model.job.rows.get(raw.JOBS, ())}
    own = sorted(url for url in urls if f"/jobs/{model.job_id}/" in url)
    return OneOf((state.asset_url, *own))


def _kept(model: Model) -> dict[str, Any]:
    """Return what the record holds for a recovery, and the results."""
    run = model.run
    expected: dict[str, Any] = {
        "run_id": run.run_id,
        "namespace": model.books.run.get("namespace"),
    }
    words = run.body.keys() - {"prompt", "style", "tag", "priority"}
    expected |= {f"input.{word}": run.body[word] for word in words}
    if not model.plain:
        return expected
    started = any(state.step for state in model.states.values())
    expected["token"] = run.token if started else None
    # The vendor's id of each task whose acceptance an activity of its own brought back.
    accepted = (a for a in run.activities if a.result.get("accepted_at") and "attempt" in a.body)
    tasks = {a.external_id: str(a.result["vendor_id"]) for a in accepted}
    tasks |= {k: v for a in run.activities for k, v in mapping(a.result.get("tasks")).items()}
    if model.last.status != "succeeded" and model.job.record:
        # A failed try may have told of one more.
        tasks = model.job.record.tasks | tasks
    expected["tasks"] = tasks
    if model.last.status == "succeeded":
        expected["units"] = dict(u for r in run.results for u in mapping(r.get("units")).items())
        stored = dict.fromkeys(each.name for each in model.books.pipeline) | _stored(run)
        expected |= {f"assets.{step}": asset for step, asset in stored.items()}
    return expected


def _stored(run: Execution) -> dict[str, dict[str, Any]]:
    """Return the file of each stage, as the last activity that brought one has it."""
    return {
        str(result.get("asset_url")).rpartition("/")[2]: asset
        for result in run.results
        if isinstance(asset := result.get("asset"), dict)
    }


def _versions(model: Model, record: dict[str, Any]) -> Iterator[Finding]:
    """Expect each version as the workflow task that wrote it has it."""
    rows = [row for row in record.get("transitions") or () if isinstance(row, dict)]
    count = len(model.states) if model.plain else record.get("version")
    counted = {"versions": len(rows), "ends": sum(row.get("status") in ENDS for row in rows)}
    counts = {"versions": count, "ends": Number(0, MOST_ENDS)}
    yield from model.differ(raw.STATES, counted, counts, "record.")
    written = {each.version: each for each in model.run.versions} if model.plain else {}
    bodies = (signal.body for signal in model.run.signalled(PROGRESS))
    positions = {body["position"] for body in bodies if isinstance(body.get("position"), int)}
    before: dict[str, Any] = {}
    for number, row in enumerate(rows, 1):
        expected: dict[str, Any] = {"version": number, "at": Between(None, None)}
        if change := written.get(number):
            expected |= _version(model, number) | {"vendor_position": OneOf((None, *positions))}
            expected |= {"at": _instant(change), "note": _note(model, change.note)}
            expected["attempt"] = _count(model.states[number].attempt, model.states[number])
        elif before.get("status") in ENDS:
            expected["status"] = before["status"]
        elif all(row.get(name) == before.get(name) for name in ("step", "attempt")):
            expected["percent"] = Number(before["percent"], 100)
        yield from model.differ(raw.STATES, row, expected, f"record.transitions[{number}].")
        before = row


def _note(model: Model, note: str) -> str | Begins:
    """Expect the note of the history, and after a failed attempt the failure that is in there."""
    if failed := FAILED.match(note):
        name = f"{model.job_id}.{failed[1]}.{failed[2]}"
        for each in model.run.activities:
            if each.error_class in ATTEMPT_FAILED and each.external_id == name:
                follows = f"attempt {int(failed[2]) + 1} of {MOST_ATTEMPTS} follows"
                return f"{failed[0]}{each.error_message} ({each.error_class}; {follows})"
    # A summary is short: the history has only the beginning of a long note.
    return Begins(note[:-1]) if note.endswith("…") else note


def _instant(change: Written) -> Between:
    return Between(change.since - EXACT, change.at + EXACT)


def _runs(model: Model) -> Iterator[Finding]:
    """Expect the list of runs to show each run as its history has it; a run made by hand starts
    later."""
    if model.books.was_struck_by(model.job_id, RESET, START_AGAIN):
        return
    rows = {str(row.get("run_id")): row for row in model.job.rows.get(raw.EXECUTIONS, ())}
    known = {"runs": sorted(run.run_id for run in model.job.executions)}
    yield from model.differ(raw.EXECUTIONS, {"runs": sorted(rows)}, known)
    for run in model.job.executions:
        row = rows.get(run.run_id, {})
        expected = {"tag": model.book.tag, "type": run.kind, "started": exactly(run.started, LAG)}
        if run.closed is not None and row.get("closed") is not None:
            expected |= {"status": run.status, "closed": exactly(run.closed, LAG)}
        yield from model.differ(raw.EXECUTIONS, row, expected if row else {})


def _files(model: Model) -> Iterator[Finding]:
    """Expect the files that the history brought, which show what a vendor made."""
    names = [each.name for each in model.books.pipeline]
    needed = {"succeeded": names, "degraded": names[:-1]}.get(str(model.job.status), [])
    stored = model.job.record.assets if model.job.record else {}
    stored = stored | _stored(model.run) if model.plain else stored
    kept = {task_of(result) for result in model.run.results}
    rows = {str(row.get("kind")): row for row in model.job.rows.get(raw.FILES, ())}
    for kind in needed:
        if kind not in rows:
            yield model.found("files", f"its {kind} was not read")
            continue
        expected: dict[str, Any] = {"problem": None}
        if noted := mapping(stored.get(kind)):
            expected |= {"bytes": noted.get("size"), "sha256": noted.get("sha256")}
        digest, _, colours = str(rows[kind].get("shows")).partition("/")
        row = rows[kind] | {"shows": digest, "colours": colours}
        good = [g for g in model.job.of(kind) if g.good and (not kept or g.vendor_id in kept)]
        if model.books.shows(kind) and (made := {g.shows for g in good if g.shows}):
            expected["shows"] = OneOf(tuple(sorted(made)))
            if drawn := [*_drawn(model)]:
                near = any(are_near(colours, each) for each in drawn)
                expected["colours"] = colours if near else drawn[-1]
        yield from model.differ(raw.FILES, row, expected)
        # A mock writes words into each picture's file, which are not to be stored.
        if kind == STEPS[0] and row.get("sha256") in {g.sha256 for g in good if g.sha256}:
            yield model.found("files", "its image is the vendor's file, with all that it tells")


def _drawn(model: Model) -> Iterator[str]:
    """Return the colours of each picture that the mock made for the job, as far as its ledger has
    the prompt: its film has the same."""
    for made in model.job.generations:
        if made.good and made.step == STEPS[0] and len(made.prompt or "") < SHOWN:
            style = made.row.get("style", model.planned.get("style"))
            yield drawn_in(str(made.prompt), str(style), made.vendor_id)


def drawn_in(prompt: str, style: str, vendor_id: str) -> str:
    """Return the colours in which the mock draws, from left to right: no two pictures are alike."""
    seed = f"{prompt}\x1f{style}\x1f{vendor_id}".encode("utf-8", "surrogatepass")
    return bytes(20 + value % 110 for value in blake2b(seed, digest_size=48).digest()[:24]).hex()


def are_near(colours: str, others: str) -> bool:
    pairs = zip(bytes.fromhex(colours), bytes.fromhex(others), strict=False)
    return len(colours) == len(others) and all(abs(a - b) <= NEAR for a, b in pairs)


def _feed(model: Model) -> Iterator[Finding]:
    """Expect frames that show versions as the record has them, after their instants, and never an
    older one after a newer one."""
    noted = {change.version: change for change in model.job.changes}
    newest, seen = -1, set()
    for row in model.job.rows.get(raw.FRAMES, ()):
        version, change = row.get("version"), noted.get(row.get("version") or 0)
        seen.add(version)
        expected: dict[str, Any] = {"source": OneOf(("ws", "poll"))}
        if version == 0:
            expected |= {"status": "queued", "step": None, "percent": 0}
        elif change is not None:
            expected |= {"status": change.status, "step": change.step, "percent": change.percent}
            if model.plain and change.at is not None:
                low = model.clocks.earliest(SERVER, change.at)
                expected["at"] = Between(low, model.book.ended)
        elif noted:
            expected["version"] = OneOf(tuple(sorted(noted)))
        yield from model.differ(raw.FRAMES, row, expected)
        if row.get("source") == "ws" and isinstance(version, int):
            if version < newest:
                text = f"the feed went back from version {newest} to {version}"
                yield model.found("frames.version", text)
            newest = max(newest, version)
    if model.books.done and model.job.ended:
        missed = {*sorted(noted)[-1:]} - seen
        if model.book.feeds == 1 and len(model.book.jobs) <= FEW:
            # The API may learn of a job late, and then shows nothing from before. What the feed had
            # not shown when a poll reported the end, the runner did not wait for.
            first = min((each for each in seen if isinstance(each, int)), default=0)
            missed |= {version for version in noted if first < version < newest} - seen
        if missed:
            text = f"the feed never showed version {', '.join(map(str, sorted(missed)))}"
            yield model.found("frames.version", text)
