"""Every field of every raw file, and what holds it: the table that the judge compares by.

A field is *derived* (another book says what it must be), *bounded* (it lies between two instants
or numbers that others say), *chosen* (the plan says it), or *unverified*, with the reason.
"""

from fnmatch import fnmatchcase
from functools import cache, partial
from typing import NamedTuple

from loadtest.books import raw


class Held(NamedTuple):
    """How a field is held, and by what; of an unverified one, why nothing holds it."""

    how: str
    by: str


DERIVED, BOUNDED, CHOSEN, UNVERIFIED = "derived", "bounded", "chosen", "unverified"
derived, bounded, unverified = (partial(Held, how) for how in (DERIVED, BOUNDED, UNVERIFIED))
PLAN = Held(CHOSEN, "the plan")
HISTORY, LEDGER = derived("Temporal's history"), derived("the vendor's ledger")
IN_HISTORY = bounded("the events of Temporal's history")
REPORTED = bounded("the reports of progress in Temporal's history, and the ledger's instants")
PERMIT = derived("the permit in Temporal's history")
ORDERED = derived("what Temporal's history ordered")
ROWS, OUR_ID = derived("the ledger's own rows"), derived("our id, in the same row")
RUNNER_ONLY = unverified("only the runner knows it, and nothing follows from it")
ABOUT = unverified("describes the machine and the setting, and no job")
HOUSEHOLD = unverified("of the vendor's own house-keeping")
TOTALS = derived("the totals at the end, less the rows")
EDGE = unverified("a chaos run keeps the slot as the API shows it, and looks at it by itself")
OTHERS = unverified("only the API knows the jobs of others")
COUNT = derived("the count beside it")
ENDED = derived("the jobs, all of which have ended")
COUNTED = unverified("how the mock counts a job's events; by it a rule's seed decides")

Table = dict[str, Held]


def _table(fields: dict[Held, str], *, below: str = "") -> Table:
    """Return each field with what holds it. A name with `*` at its end follows the names that it
    covers, because the first that fits counts."""
    return {f"{below}{name}": held for held, names in fields.items() for name in names.split()}


_TRANSITION = {
    HISTORY: "version at status step attempt note attempts.* asset_url error error.code"
    " error.message",
    REPORTED: "percent vendor_position",
}
_JOB = {
    PLAN: "job_id prompt style tag priority pipeline",
    HISTORY: "status step asset_url attempts.* error error.code error.message created_at"
    " started_at finished_at version",
    REPORTED: "percent",
    derived("a job that has ended waits for nothing"): "queue_position vendor_position",
}
_GENERATION = _table(
    {
        derived("what Temporal's history brought back"): "job_id outcome",
        ORDERED: "external_id",
        OUR_ID: "attempt",
        PLAN: "prompt style calls_back",
        PERMIT: "token",
        IN_HISTORY: "accepted_at finished_at reported_at",
        bounded("acceptance and end, in the same row"): "started_at",
        ROWS: "accepted_ts started_ts finished_ts seconds error charged duplicate",
        derived("the stored file, and the film that was made from it"): "sha256 shows",
        derived("the picture that it was made from"): "source_sha256 source_shows",
        unverified("a name of the vendor's own"): "callbacks[].delivery_id",
        COUNTED: "job_key",
        bounded("the task's change, and its receipt"): "callbacks[].sent_at",
        derived("the task's change, the fault trace, and its receipt"): "callbacks[].status"
        " callbacks[].note callbacks[].reply callbacks[].error",
        derived("the cost in Temporal's history, or the film that the contract orders"): "units",
    }
)
_SLOT = {
    derived("the limit at the beginning"): "limit",
    derived("no run pauses the slot"): "paused",
    bounded("permits and closes in Temporal's histories"): "holders",
    bounded("the closes of its holders in Temporal's histories"): "draining",
    bounded("requests and permits in Temporal's histories"): "waiting places.*",
}

FIELDS: dict[str, Table] = {
    raw.RUN: _table(
        {
            derived("this version of the files"): "schema",
            derived("the jobs that were run"): "run_id pipeline plan.stages plan.seed plan.rate"
            " plan.pipeline namespace",
            HISTORY: "plan.on_video_failure environment.sdk",
            derived("each default, or another one on its metric"): "plan.thresholds",
            unverified("held against the submissions, which may be fewer"): "plan.concurrency",
            unverified("held against the totals before the run"): "plan.reset",
            unverified("the line that was typed; the plan beside it decides"): "command",
            RUNNER_ONLY: "plan.*",
            PLAN: "stages[].*",
            bounded("its first stage"): "began_at",
            bounded("its last stage, and the last reading of a clock"): "ended_at",
            bounded("the ledgers: a vendor that shows one is a mock"): "mocks",
            unverified("how soon the feed learns of a change"): "environment.store",
            ABOUT: "temporal_ui environment.* code.*",
            unverified("held against the vendors' fault trace, rule by rule"): "faults.*",
            derived("the samples of the slot"): "limit",
            TOTALS: "vendors_before.*.accepted vendors_before.*.charged"
            " vendors_before.*.duplicates",
            HOUSEHOLD: "vendors_before.*",
            ENDED: "why",
            unverified("says what could not be read, and fails the run"): "unread",
        }
    ),
    raw.STAGES: _table(
        {
            PLAN: "stage jobs tag",
            bounded("the run, and its jobs"): "began_at ended_at",
            ENDED: "why",
            bounded("the processes: an API that is there cuts no feed"): "feed_connections",
        }
    )
    | _table(_SLOT, below="slots_before.")
    | _table(_SLOT, below="slots_after.")
    | _table({EDGE: "slots_before.* slots_after.*"}),
    raw.SUBMITS: _table(
        {
            PLAN: "stage index key prompt planned_at",
            bounded("the planned instant, and the run's start in Temporal"): "sent_at answered_at",
            bounded("the time from its sending to its answer"): "tries",
            unverified("what a strike asked of its job; read of a chaos run only"): "asked.*",
            derived("whether it has a job"): "status problem",
            derived("its key, in the same row"): "job_id",
        }
    ),
    raw.JOBS: _table({PLAN: "stage", derived("every job is in the list"): "listed"})
    | _table(_JOB, below="job."),
    raw.STATES: _table({HISTORY: "job_id", derived("every job has a record"): "problem"})
    | _table(_JOB, below="record.")
    | _table(
        {
            derived("the input in Temporal's history"): "input.*",
            derived("the run's namespace"): "namespace",
            PERMIT: "token",
            HISTORY: "run_id tasks.* units.* assets.*.size assets.*.sha256 assets.*.media_type",
        },
        below="record.",
    )
    | _table(_TRANSITION, below="record.transitions[]."),
    raw.FRAMES: _table(
        {
            bounded("the version's instant in Temporal's history, and the run's own pace"): "at",
            derived("the ways there are"): "source",
            HISTORY: "job_id version",
            derived("that version of the record"): "status step percent",
        }
    ),
    raw.SLOTS: _table({bounded("the stage"): "at", PLAN: "stage", **_SLOT}),
    raw.LEDGERS["image"]: _GENERATION,
    raw.LEDGERS["video"]: _GENERATION | {"sha256": derived("the stored file")},
    raw.VENDORS: _table(
        {
            ROWS: "*.stats.accepted *.stats.charged *.stats.in_flight *.stats.duplicates"
            " *.verdict.charged_twice *.verdict.callbacks_unanswered *.verdict.charged"
            " *.verdict.open",
            bounded("the limit"): "*.stats.max_in_flight",
            unverified("held from below only, by the stored files"): "*.stats.file_bytes",
            unverified("more than none is not decided"): "*.stats.ledger_dropped",
            derived("limits in histories, and the time of generations"): "*.stats.speed",
            COUNT: "*.stats.faults_injected *.faults_recorded *.faults_remembered",
            derived("the rows, and the fault trace"): "*.verdict.fetched_after_expiry *.verdict.ok",
            HOUSEHOLD: "*.stats.* *.verdict.*",
        }
    ),
    raw.FAULTS: _table(
        {
            derived("the ledger that has the generation"): "service",
            derived("each once, and rising"): "seq",
            bounded("the run, and what it met of its generation"): "at",
            derived("the rules that were armed, and what their seed decides"): "rule where do"
            " with.*",
            unverified("the callback's status that met the rule"): "status",
            OUR_ID: "attempt",
            COUNTED: "event job_key",
            unverified(
                "the generation is named by our id; one that was refused has none"
            ): "job_id",
            ORDERED: "external_id",
            PLAN: "prompt",
        }
    ),
    raw.RECEIPTS: _table(
        {
            bounded("the delivery, and its signal"): "received_at",
            LEDGER: "job_id task_id task_status external_id",
            derived("deliveries, signals and closes"): "fate decided",
            bounded("the task's change in the vendor's ledger"): "updated_at",
        }
    ),
    raw.FILES: _table(
        {
            HISTORY: "job_id kind bytes sha256",
            derived("the vendor's ledger, and the colours in which it draws"): "shows",
            derived("every stored file is whole"): "problem",
        }
    ),
    raw.EXECUTIONS: _table({PLAN: "tag", HISTORY: "job_id run_id type status started closed"}),
    raw.FOREIGN: _table({LEDGER: "job_id", OTHERS: "known finished_at tag"}),
    raw.PROCESSES: {
        "name": derived("the services that reported their code, and the mocks"),
        "*": unverified("what a process uses is measured by itself; only restarts are read of it"),
    },
    raw.CHAOS: {
        "*": unverified("what was done from outside, which excuses the jobs that it names"),
    },
    raw.REPLAY: _table(
        {derived("the kept histories"): "replayed kept", derived("must be none"): "failures.*"}
    ),
    raw.CLOCKS: _table(
        {
            derived("the vendors and the runner, at begin and end"): "service moment",
            bounded("the other readings"): "sent_at answered_at theirs",
        }
    ),
}


def held(file: str, path: str) -> Held | None:
    """Return how the field at this path is held: by its own line, or by that of its part."""
    found = line(file, path)
    return None if found is None else _of(file)[found]


@cache
def line(file: str, path: str) -> str | None:
    """Return the name in the table that the field at this path goes by: the first that fits."""
    # A bracket is none of a pattern's signs here.
    path = path.replace("[", "(")
    return next((each for each in _of(file) if fnmatchcase(path, each.replace("[", "("))), None)


def _of(file: str) -> Table:
    return FIELDS.get(file, _GENERATION if file.endswith("_ledger.jsonl") else {})


def unheld() -> list[tuple[str, str, str]]:
    """Return what nothing verifies: file, field and reason."""
    return [
        (file, path, found.by)
        for file, table in FIELDS.items()
        for path, found in table.items()
        if found.how == UNVERIFIED
    ]
