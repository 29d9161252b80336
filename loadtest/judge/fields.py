"""Every field of every raw file, and what holds it: the table that the judge compares by.

A field is *derived* (another book says what it must be), *bounded* (it lies between two instants
or numbers that others say), *chosen* (the plan says it), or *unverified*, with the reason.
"""

from typing import NamedTuple

from loadtest.books import raw


class Held(NamedTuple):
    """How a field is held, and by what; of an unverified one, why nothing holds it."""

    how: str
    by: str


DERIVED, BOUNDED, CHOSEN, UNVERIFIED = "derived", "bounded", "chosen", "unverified"


def derived(by: str) -> Held:
    return Held(DERIVED, by)


def bounded(by: str) -> Held:
    return Held(BOUNDED, by)


def unverified(why: str) -> Held:
    return Held(UNVERIFIED, why)


PLAN = Held(CHOSEN, "the plan")
HISTORY, LEDGER = derived("Temporal's history"), derived("the vendor's ledger")
IN_HISTORY = bounded("the events of Temporal's history")
ROWS, TRACE = derived("the ledger's own rows"), derived("the vendor's fault trace")
RUNNER_ONLY = unverified("only the runner knows it, and nothing follows from it")
ABOUT = unverified("describes the machine and the setting, and no job")

_TRANSITION = {
    "version": HISTORY,
    "at": HISTORY,
    "status": HISTORY,
    "step": HISTORY,
    "percent": bounded("the reports of progress in Temporal's history"),
    "attempt": HISTORY,
    "note": HISTORY,
    "attempts.*": HISTORY,
    "asset_url": HISTORY,
    "vendor_position": bounded("the reports of progress in Temporal's history"),
    "error": HISTORY,
    "error.code": HISTORY,
    "error.message": HISTORY,
}
_JOB = {
    "job_id": PLAN,
    "prompt": PLAN,
    "style": PLAN,
    "tag": PLAN,
    "priority": PLAN,
    "pipeline": PLAN,
    "status": HISTORY,
    "step": HISTORY,
    "percent": bounded("the reports of progress in Temporal's history"),
    "asset_url": HISTORY,
    "queue_position": derived("a job that has ended waits for nothing"),
    "vendor_position": derived("a job that has ended waits for nothing"),
    "attempts.*": HISTORY,
    "error": HISTORY,
    "error.code": HISTORY,
    "error.message": HISTORY,
    "created_at": HISTORY,
    "started_at": HISTORY,
    "finished_at": HISTORY,
    "version": HISTORY,
}
_GENERATION = {
    "job_id": derived("what Temporal's history brought back"),
    "external_id": derived("what Temporal's history ordered"),
    "job_key": derived("the other rows of the job"),
    "attempt": derived("our id, in the same row"),
    "prompt": PLAN,
    "token": derived("the permit in Temporal's history"),
    "accepted_at": IN_HISTORY,
    "started_at": bounded("acceptance and end, in the same row"),
    "finished_at": IN_HISTORY,
    "accepted_ts": ROWS,
    "started_ts": ROWS,
    "finished_ts": ROWS,
    "seconds": ROWS,
    "outcome": derived("what Temporal's history brought back"),
    "error": ROWS,
    "sha256": derived("the film that was made from it"),
    "source_sha256": derived("the picture that it was made from"),
    "shows": derived("the stored file"),
    "source_shows": derived("the picture that it was made from"),
    "charged": ROWS,
    "duplicate": ROWS,
    "calls_back": PLAN,
    "callbacks[].delivery_id": unverified("a name of the vendor's own"),
    "callbacks[].status": derived("what became of the task, in the same row"),
    "callbacks[].note": TRACE,
    "callbacks[].sent_at": bounded("the task's change, and its receipt"),
    "callbacks[].reply": derived("the fate in its receipt"),
    "callbacks[].error": derived("the reply, in the same row"),
}
_SLOT = {
    "limit": derived("the limit at the beginning"),
    "paused": derived("nobody pauses in a run"),
    "holders": bounded("permits and closes in Temporal's histories"),
    "draining": bounded("the holders, in the same row"),
    "waiting": bounded("requests and permits in Temporal's histories"),
}

FIELDS: dict[str, dict[str, Held]] = {
    raw.RUN: {
        "schema": derived("this version of the files"),
        "run_id": derived("tags and keys of its jobs"),
        "command": RUNNER_ONLY,
        "plan.stages": derived("the stages that were run"),
        "plan.seed": derived("the prompts in Temporal's histories"),
        "plan.rate": derived("the planned instants"),
        "plan.pipeline": derived("the pipeline, in the same file"),
        "plan.on_video_failure": HISTORY,
        "plan.thresholds": derived("each default, or another one on its metric"),
        "plan.*": RUNNER_ONLY,
        "pipeline": derived("the jobs"),
        "stages[].*": PLAN,
        "began_at": bounded("its first stage"),
        "ended_at": unverified("the books were read by then"),
        "mocks": derived("the ledgers, which real vendors don't show"),
        "temporal_ui": ABOUT,
        "namespace": derived("the records"),
        "environment.*": ABOUT,
        "code.*": ABOUT,
        "faults.*": unverified("held against the vendors' fault trace, rule by rule"),
        "limit": derived("the samples of the slot"),
        "vendors_before.*.accepted": derived("the totals at the end, less the rows"),
        "vendors_before.*.charged": derived("the totals at the end, less the rows"),
        "vendors_before.*.duplicates": derived("the totals at the end, less the rows"),
        "vendors_before.*": unverified("of the vendor's own house-keeping"),
        "why": derived("how its last stage ended"),
        "unread": unverified("says what could not be read, and fails the run"),
    },
    raw.STAGES: {
        "stage": PLAN,
        "jobs": PLAN,
        "tag": PLAN,
        "began_at": bounded("the run, and its first submission"),
        "ended_at": bounded("the run, and its last job's end"),
        "why": derived("the jobs, all of which have ended"),
        "feed_connections": unverified("only the runner knows how often the feed was cut"),
        **{
            f"{moment}.{name}": _SLOT[name]
            for moment in ("slots_before", "slots_after")
            for name in ("limit", "paused")
        },
        "slots_before.*": unverified("a look at the stage's edge; the samples inside are held"),
        "slots_after.*": unverified("a look at the stage's edge; the samples inside are held"),
    },
    raw.SUBMITS: {
        "stage": PLAN,
        "index": PLAN,
        "key": PLAN,
        "prompt": PLAN,
        "planned_at": PLAN,
        "sent_at": bounded("the planned instant, and the start of the run in Temporal"),
        "answered_at": bounded("the start of the run in Temporal, and the stage's end"),
        "tries": RUNNER_ONLY,
        "status": derived("whether it has a job"),
        "job_id": HISTORY,
        "problem": derived("whether it has a job"),
    },
    raw.JOBS: {
        "stage": PLAN,
        "listed": derived("every job is in the list"),
        **{f"job.{name}": held for name, held in _JOB.items()},
    },
    raw.STATES: {
        "job_id": HISTORY,
        "problem": derived("every job has a record"),
        **{f"record.{name}": held for name, held in _JOB.items()},
        "record.input.*": derived("the input in Temporal's history"),
        "record.namespace": derived("the run's namespace"),
        "record.run_id": HISTORY,
        "record.token": derived("the permit in Temporal's history"),
        "record.tasks.*": HISTORY,
        "record.units.*": HISTORY,
        "record.assets.*.size": HISTORY,
        "record.assets.*.sha256": HISTORY,
        "record.assets.*.media_type": HISTORY,
        **{f"record.transitions[].{name}": held for name, held in _TRANSITION.items()},
    },
    raw.FRAMES: {
        "at": bounded("the version's instant in Temporal's history, and the stage's end"),
        "source": derived("the ways there are"),
        "job_id": HISTORY,
        "version": HISTORY,
        "status": derived("that version of the record"),
        "step": derived("that version of the record"),
        "percent": derived("that version of the record"),
    },
    raw.SLOTS: {
        "at": bounded("the stage"),
        "stage": PLAN,
        **_SLOT,
        "places.*": bounded("requests and permits in Temporal's histories"),
    },
    raw.LEDGERS["image"]: _GENERATION,
    raw.LEDGERS["video"]: _GENERATION
    | {"sha256": unverified("what tells of a film's making is removed before it is stored")},
    raw.VENDORS: {
        "*.stats.accepted": ROWS,
        "*.stats.charged": ROWS,
        "*.stats.in_flight": ROWS,
        "*.stats.max_in_flight": bounded("the limit"),
        "*.stats.duplicates": ROWS,
        "*.stats.ledger_dropped": unverified("more than none is not decided"),
        "*.stats.faults_injected": derived("the count beside it"),
        "*.stats.*": unverified("of the vendor's own house-keeping"),
        "*.verdict.charged_twice": ROWS,
        "*.verdict.callbacks_unanswered": ROWS,
        "*.verdict.charged": ROWS,
        "*.verdict.open": ROWS,
        "*.verdict.*": unverified("follows from what stands beside it"),
        "*.faults_recorded": derived("the count beside it"),
        "*.faults_remembered": derived("the count beside it"),
    },
    raw.FAULTS: {
        "service": derived("the ledger that has the generation"),
        "seq": derived("each once, and rising"),
        "at": bounded("the run"),
        "rule": derived("the rules that were armed"),
        "where": derived("the effects of that rule"),
        "do": derived("the effects of that rule"),
        "with.*": unverified("how long or how much a fault was, which excuses nothing"),
        "status": unverified("the callback's status that met the rule"),
        "job_key": derived("the ledger's rows of the job"),
        "attempt": derived("our id, in the same row"),
        "event": unverified("how the mock counts a job's events"),
        "job_id": unverified("the generation is named by our id; one that was refused has none"),
        "external_id": derived("what Temporal's history ordered"),
        "prompt": PLAN,
    },
    raw.RECEIPTS: {
        "received_at": bounded("the delivery, and its signal"),
        "job_id": LEDGER,
        "task_id": LEDGER,
        "task_status": LEDGER,
        "fate": derived("deliveries, signals and closes"),
        "external_id": LEDGER,
        "updated_at": bounded("the task's change in the vendor's ledger"),
        "decided": derived("its fate, and the vendor's reply"),
    },
    raw.FILES: {
        "job_id": HISTORY,
        "kind": HISTORY,
        "bytes": HISTORY,
        "sha256": HISTORY,
        "shows": LEDGER,
        "problem": derived("every stored file is whole"),
    },
    raw.EXECUTIONS: {
        "tag": PLAN,
        "job_id": HISTORY,
        "run_id": HISTORY,
        "type": HISTORY,
        "status": HISTORY,
        "started": HISTORY,
        "closed": HISTORY,
    },
    raw.FOREIGN: {
        "job_id": LEDGER,
        "known": unverified("only the API knows the jobs of others"),
        "finished_at": unverified("only the API knows the jobs of others"),
        "tag": unverified("only the API knows the jobs of others"),
    },
    raw.PROCESSES: {
        "*": unverified("what a process uses is measured by itself; only restarts are read of it")
    },
    raw.REPLAY: {
        "replayed": derived("the kept histories"),
        "kept": derived("the kept histories"),
        "failures.*": derived("must be none"),
    },
    raw.CLOCKS: {
        "service": derived("the vendors and the runner"),
        "moment": derived("begin and end of the run"),
        "sent_at": bounded("the other readings"),
        "answered_at": bounded("the other readings"),
        "theirs": bounded("the other readings"),
    },
}


def held(file: str, path: str) -> Held | None:
    """How the field at this path is held: by its own line, or by that of the part it is in."""
    ledger = _GENERATION if file.endswith("_ledger.jsonl") else {}
    table = FIELDS.get(file, ledger)
    for pattern, found in table.items():
        if _fits(pattern.split("."), path.split(".")):
            return found
    return None


def _fits(pattern: list[str], path: list[str]) -> bool:
    """A last `*` is everything below; one in the middle is any one name."""
    if pattern[-1] == "*" and len(path) >= len(pattern):
        path = path[: len(pattern)]
    return len(pattern) == len(path) and all(
        ours in ("*", theirs) for ours, theirs in zip(pattern, path, strict=True)
    )


def unheld() -> list[tuple[str, str, str]]:
    """What nothing verifies: file, field and reason."""
    return [
        (file, path, found.by)
        for file, table in FIELDS.items()
        for path, found in table.items()
        if found.how == UNVERIFIED
    ]
