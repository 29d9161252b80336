"""From one raw row to one fact; what is missing or of the wrong type becomes None or empty."""

import re
from typing import Any

from loadtest.books.model import (
    Activity,
    ApiJob,
    Callback,
    Execution,
    Generation,
    Injected,
    Receipt,
    Record,
    SlotSample,
    StoredFile,
    Submission,
    Transition,
)
from loadtest.times import instant

_EXTERNAL = re.compile(r"^(.+)\.(image|video)\.(\d+)$")
Row = dict[str, Any]


def submit(row: Row) -> Submission:
    return Submission(
        index=whole(row.get("index")),
        prompt=str(row.get("prompt", "")),
        planned=float(row["planned_at"]),
        sent=float(row["sent_at"]),
        answered=float(row["answered_at"]),
        tries=whole(row.get("tries")),
        job_id=text(row.get("job_id")),
        problem=text(row.get("problem")),
    )


def api_job(row: Row) -> ApiJob:
    job, error = table(row.get("job")), table(table(row.get("job")).get("error"))
    return ApiJob(
        listed=bool(row.get("listed")),
        status=str(job.get("status")),
        created=instant(job.get("created_at")),
        started=instant(job.get("started_at")),
        finished=instant(job.get("finished_at")),
        version=whole(job.get("version")),
        attempts={step: whole(count) for step, count in table(job.get("attempts")).items()},
        error_code=text(error.get("code")),
        error_message=text(error.get("message")),
    )


def record(row: Row) -> Record:
    body = table(row.get("record"))
    if row.get("problem") or not body:
        return Record(problem=str(row.get("problem") or "empty"))
    return Record(
        problem=None,
        status=text(body.get("status")),
        version=whole(body.get("version")),
        transitions=tuple(map(_transition, rows(body.get("transitions")))),
        hashes={
            kind: asset["sha256"]
            for kind, asset in table(body.get("assets")).items()
            if isinstance(asset, dict) and isinstance(asset.get("sha256"), str)
        },
        error_code=text(table(body.get("error")).get("code")),
        priority=whole(body.get("priority")),
    )


def _transition(row: Row) -> Transition:
    return Transition(
        version=whole(row.get("version")),
        at=instant(row.get("at")),
        status=str(row.get("status")),
        step=text(row.get("step")),
        percent=whole(row.get("percent")),
        attempt=whole(row.get("attempt")),
    )


def execution(row: Row) -> Execution:
    return Execution(
        run_id=str(row.get("run_id", "")),
        status=str(row.get("status", "")),
        started=instant(row.get("started")),
        closed=instant(row.get("closed")),
        granted=instant(row.get("granted")),
        signals=tuple((str(name), float(at)) for name, at in row.get("signals") or []),
        activities=tuple(map(_activity, rows(row.get("activities")))),
        hops=tuple(map(float, row.get("hops") or [])),
        events=whole(row.get("events")),
        workflow_tasks=whole(row.get("workflow_tasks")),
        bytes=whole(row.get("bytes")),
        asked=instant(row.get("asked")),
    )


def _activity(row: Row) -> Activity:
    error = table(row.get("error"))
    return Activity(
        kind=str(row.get("type", "")),
        scheduled=instant(row.get("scheduled")),
        started=instant(row.get("started")),
        ended=instant(row.get("ended")),
        attempt=whole(row.get("attempt")),
        outcome=str(row.get("outcome", "")),
        error_class=text(error.get("class")),
        error_message=text(error.get("message")),
    )


def generation(step: str, row: Row) -> Generation:
    external = text(row.get("external_id"))
    match = _EXTERNAL.match(external) if external else None
    return Generation(
        step=step,
        vendor_id=str(row.get("job_id", "")),
        external_id=external,
        job_id=match.group(1) if match else None,
        attempt=int(match.group(3)) if match else None,
        accepted=instant(row.get("accepted_at")),
        started=instant(row.get("started_at")),
        finished=instant(row.get("finished_at")),
        outcome=text(row.get("outcome")),
        error=text(row.get("error")),
        charged=bool(row.get("charged")),
        callbacks=tuple(map(_callback, rows(row.get("callbacks")))),
        token=whole(row["token"]) if row.get("token") is not None else None,
    )


def _callback(row: Row) -> Callback:
    reply = row.get("reply")
    return Callback(
        sent=instant(row.get("sent_at")),
        status=str(row.get("status", "")),
        reply=reply if isinstance(reply, int) else None,
        error=text(row.get("error")),
        note=str(row.get("note") or ""),
        delivery_id=text(row.get("delivery_id")),
    )


def injected(service: str, row: Row) -> Injected:
    external = text(row.get("external_id"))
    match = _EXTERNAL.match(external) if external else None
    return Injected(
        service=service,
        rule=str(row.get("rule", "")),
        where=str(row.get("where", "")),
        do=str(row.get("do", "")),
        external_id=external,
        job_id=match.group(1) if match else None,
        at=instant(row.get("at")),
    )


def receipt(row: Row) -> Receipt:
    return Receipt(
        at=instant(row.get("received_at")),
        task_id=text(row.get("task_id")),
        task_status=text(row.get("task_status")),
        fate=str(row.get("fate", "unknown")),
        external_id=text(row.get("external_id")),
    )


def stored_file(row: Row) -> StoredFile:
    return StoredFile(
        kind=str(row.get("kind", "")),
        bytes=whole(row.get("bytes")),
        sha256=text(row.get("sha256")),
        problem=text(row.get("problem")),
    )


def sample(row: Row) -> SlotSample:
    limit, waiting = row.get("limit"), row.get("waiting")
    return SlotSample(
        at=float(row["at"]),
        holders=tuple(map(str, row.get("holders") or [])),
        waiting=waiting if isinstance(waiting, int) else None,
        limit=limit if isinstance(limit, int) else None,
    )


def text(value: object) -> str | None:
    return None if value is None else str(value)


def whole(value: object) -> int:
    return int(value) if isinstance(value, int | float) else 0


def table(value: object) -> Row:
    return value if isinstance(value, dict) else {}


def rows(value: object) -> list[Row]:
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []
