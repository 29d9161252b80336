"""Lies about what failed, and about whose fault that was."""

from collections.abc import Callable, Iterable

from loadtest.books import raw
from tests.loadtest.forging.kit import LEDGERS, Forger, Row, forgery_of, job_in, rewrite

VIDEO = LEDGERS[1]
FAILING = "failing-generations"
TRUE, FALSE = "generation failed (generation_failed", "no answer in time (attempt_timed_out"


@forgery_of(FAILING)
def a_failure_with_another_reason(f: Forger) -> Iterable[str]:
    """As record and summaries have it; the history has the failure itself, too."""
    return f.renamed(f.job(), TRUE, FALSE)


@forgery_of(FAILING)
def a_failure_with_another_reason_everywhere(f: Forger) -> Iterable[str]:
    """The vendor's own reason is in its ledger only."""

    def change(events: list[Row]) -> None:
        for event in events:
            if (failed := event.get("activityTaskFailedEventAttributes")) is not None:
                failed["failure"]["message"] = "overloaded"

    job_id = f.job()
    f.renamed(job_id, "generation failed (", "overloaded (")
    return f.history(job_id, change)


def _failed(events: list[Row], failed: str, change: Callable[[Row], object]) -> None:
    """Change each failure of an activity, or of the run."""
    for event in events:
        if (body := event.get(f"{failed}FailedEventAttributes")) is not None:
            change(body["failure"])


def _ended(f: Forger, job_id: str, error: Row) -> Iterable[str]:
    """Let a job's run, its record and the list give this reason."""

    def fail(failure: Row) -> None:
        failure["message"] = error["message"]
        failure["applicationFailureInfo"]["type"] = error["code"]

    f.set(raw.JOBS, "job", of=job_id, error=error)
    f.set(raw.STATES, "record", of=job_id, error=error)
    f.set(raw.STATES, "record", "transitions", -1, of=job_id, error=error)
    return f.history(job_id, lambda events: _failed(events, "workflowExecution", fail))


@forgery_of(FAILING)
def a_failure_of_another_kind_everywhere(f: Forger) -> Iterable[str]:
    def refuse(failure: Row) -> None:
        failure["message"] = "content policy"
        failure["applicationFailureInfo"]["type"] = "policy_refused"

    job_id = f.job()
    f.renamed(job_id, "generation failed (generation_failed", "content policy (policy_refused")
    return f.history(job_id, lambda events: _failed(events, "activityTask", refuse))


@forgery_of("hopeless-generations")
def a_job_that_was_given_up_for_another_reason(f: Forger) -> Iterable[str]:
    """As its run, its record and the list have it; its activities have the reason, too."""
    [job_id] = (row["job"]["job_id"] for row in f.rows(raw.JOBS) if row["job"]["error"])
    other = {"code": "given_up", "message": "no end within 60 s"}

    f.renamed(job_id, "failed (generation_failed)", "failed (given_up)")
    return _ended(f, job_id, other)


@forgery_of("vendor-outage")
def a_refused_submit_that_needed_no_other(f: Forger) -> Iterable[str]:
    def forget(events: list[Row]) -> None:
        for event in events:
            if (started := event.get("activityTaskStartedEventAttributes")) is not None:
                started["attempt"] = 1
                started.pop("lastFailure", None)

    return f.history(f.job(), forget)


@forgery_of("vendor-outage")
def an_acceptance_before_its_try(f: Forger) -> Iterable[str]:
    """The video would be given up sooner."""

    def change(body: Row) -> None:
        known = body.get("accepted") or body
        if "accepted_at" in known:
            known["accepted_at"] -= 0.5

    def note(events: list[Row]) -> None:
        for event in events:
            for part, name in (("Scheduled", "input"), ("Completed", "result")):
                rewrite((event.get(f"activityTask{part}EventAttributes") or {}).get(name), change)

    return f.history(f.job(), note)


@forgery_of(FAILING)
def more_attempts_by_every_note_than_are_allowed(f: Forger) -> Iterable[str]:
    def allow(body: Row) -> None:
        for change in (body.get("record") or {}).get("transitions", ()):
            change["note"] = change["note"].replace(" of 4", " of 9")

    job_id = f.job()
    f.orders(job_id, allow)
    return f.renamed(job_id, " of 4", " of 9")


@forgery_of(FAILING)
def a_failed_generation_that_its_ledger_lacks(f: Forger) -> Iterable[str]:
    [row, *_] = [row for row in f.rows(raw.LEDGERS["image"]) if row["outcome"] == "failed"]
    f.drop(raw.LEDGERS["image"], of=job_in(row), external_id=row["external_id"])
    return [f"{row['external_id']}, which is not in the vendor's ledger"]


@forgery_of(FAILING)
def a_second_attempt_without_a_pause(f: Forger) -> Iterable[str]:
    def change(events: list[Row]) -> None:
        for event in events:
            timer = event.get("timerStartedEventAttributes") or {}
            if timer.get("startToFireTimeout") == "1s":
                timer["startToFireTimeout"] = "0s"

    return f.history(f.job(), change)


@forgery_of("paid-but-reply-lost")
def a_second_try_that_was_the_first(f: Forger) -> Iterable[str]:
    """The vendor had accepted the order before that try began."""

    def count(events: list[Row]) -> None:
        for event in events:
            if (started := event.get("activityTaskStartedEventAttributes")) is not None:
                started["attempt"] = 1

    return f.history(f.job(), count)


@forgery_of(FAILING)
def a_fault_that_failed_a_good_generation(f: Forger) -> Iterable[str]:
    job_id = f.job()
    good = f"{job_id}.image.2"

    def change(row: Row) -> None:
        if row["external_id"] == f"{job_id}.image.1":
            row.update(external_id=good, attempt=2)

    f.each(raw.FAULTS, change)
    return [job_id]


@forgery_of("everything-at-once")
def a_refusal_without_its_fault(f: Forger) -> Iterable[str]:
    """The trace has one row less, and the counts fit."""
    rows = f.rows(raw.FAULTS)
    gone = next(row for row in rows if (row["where"], row["do"]) == ("submit", "refuse"))
    assert gone["service"] == "image"
    rows.remove(gone)
    for row in rows:
        row["seq"] -= row["service"] == "image" and row["seq"] > gone["seq"]
    f.put(raw.FAULTS, rows)

    def count(vendors: Row) -> None:
        vendors["image"]["stats"]["faults_injected"] -= 1
        vendors["image"]["faults_recorded"] -= 1
        vendors["image"]["faults_remembered"] -= 1

    f.json(raw.VENDORS, count)
    return [str(gone["external_id"]).split(".")[0]]


@forgery_of("everything-at-once")
def a_repeat_applied_in_place_of_the_first(f: Forger) -> Iterable[str]:
    """Beside a generation whose callbacks a fault has bent; this one's are plain."""
    job_id = next(
        str(row["external_id"]).split(".")[0]
        for row in f.rows(raw.LEDGERS["video"])
        if [each["note"] for each in row["callbacks"]][-2:] == ["repeated"] * 2
        and row["attempt"] == 2
    )
    rows = f.rows(raw.RECEIPTS)
    ours = [row for row in rows if (job_in(row), row["task_status"]) == (job_id, "succeed")]
    first, *_, last = sorted(ours, key=lambda row: str(row["received_at"]))
    first["fate"], last["fate"] = last["fate"], first["fate"]
    f.put(raw.RECEIPTS, rows)
    return [job_id]


@forgery_of("pack-used-up")
def a_refusal_whose_reason_was_not_kept(f: Forger) -> Iterable[str]:
    return _ended(f, f.job(), {"code": "refused_for_good", "message": "The job failed."})


@forgery_of("pack-used-up")
def a_job_that_was_out_of_time_before_its_time_was(f: Forger) -> Iterable[str]:
    job_id = f.job()
    f.renamed(job_id, "failed (refused_for_good)", "failed (job_timed_out)")
    return _ended(f, job_id, {"code": "job_timed_out", "message": "The job did not end."})


@forgery_of("stuck-at-99")
def a_video_that_was_given_up_before_its_limit(f: Forger) -> Iterable[str]:
    """The limit of its stage was longer, by everything in its history."""
    job_id = next(job_in(row) for row in f.rows(VIDEO) if row["outcome"] != "succeeded")

    def order(body: Row) -> None:
        body.get("order", body).get("limits", {}).update(give_up=5000.0)

    def enter(body: Row) -> None:
        for stage in body["limits"]["stages"].values():
            stage["give_up"] = 5000.0

    f.orders(job_id, order)
    return f.results(job_id, enter, key="limits")


@forgery_of("too-fast")
def a_busy_vendor_that_was_asked_again_too_soon(f: Forger) -> Iterable[str]:
    def ask_for_more(run: Row) -> None:
        for plan in run["faults"].values():
            for rule in plan["rules"]:
                rule["with"]["retry_after"] = 60

    f.json(raw.RUN, ask_for_more)
    f.each(raw.FAULTS, lambda row: row["with"].update(retry_after=60))
    return [job_in(row) for row in f.rows(LEDGERS[0])]
