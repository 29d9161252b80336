"""Callbacks that were dropped, doubled or refused."""

import copy
from collections.abc import Iterable

from loadtest.books import raw
from tests.loadtest.forging.kit import Forger, Row, forgery, job_in, moved, rewrite

VIDEO = raw.LEDGERS["video"]


def _drop_delivery(f: Forger, job_id: str, status: str) -> None:
    def change(row: Row) -> None:
        row["callbacks"] = [each for each in row["callbacks"] if each["status"] != status]

    f.each(VIDEO, change, of=job_id)


def _drop_receipt(f: Forger, job_id: str, status: str) -> None:
    rows = f.rows(raw.RECEIPTS)
    kept = [row for row in rows if (row["job_id"], row["task_status"]) != (job_id, status)]
    f.put(raw.RECEIPTS, kept)


@forgery
def delivery_and_receipt_dropped_together(f: Forger) -> Iterable[str]:
    job_id, status = f.job(), f.random.choice(("processing", "succeed"))
    _drop_delivery(f, job_id, status)
    _drop_receipt(f, job_id, status)
    return [job_id]


@forgery
def a_delivery_dropped(f: Forger) -> Iterable[str]:
    job_id = f.job()
    _drop_delivery(f, job_id, f.random.choice(("processing", "succeed")))
    return [job_id]


@forgery
def a_receipt_dropped(f: Forger) -> Iterable[str]:
    job_id = f.job()
    _drop_receipt(f, job_id, f.random.choice(("processing", "succeed")))
    return [job_id]


@forgery
def no_callbacks_at_all(f: Forger) -> Iterable[str]:
    f.each(VIDEO, lambda row: row.update(callbacks=[]))
    f.put(raw.RECEIPTS, [])
    return f.order[:1]


@forgery
def callbacks_that_never_arrived(f: Forger) -> Iterable[str]:
    """As where the address is wrong: the vendor calls, nobody hears it, and polls make it good."""

    def unheard(row: Row) -> None:
        for told in row["callbacks"]:
            told.update(reply=None, error="ConnectError")

    def unwoken(event: Row) -> None:
        event["workflowExecutionSignaledEventAttributes"]["signalName"] = "resume"

    f.each(VIDEO, unheard)
    f.put(raw.RECEIPTS, [])
    for job_id in f.order:
        f.signals(job_id, "kling_done", unwoken)
    return f.order


@forgery
def an_end_that_is_called_late_and_not_signalled(f: Forger) -> Iterable[str]:
    def unwoken(event: Row) -> None:
        attributes = event["workflowExecutionSignaledEventAttributes"]
        attributes["signalName"] = "report_progress"
        rewrite(attributes["input"], dict.clear)

    def late(row: Row) -> None:
        if row["task_status"] == "succeed":
            row["fate"] = "late"

    [job_id] = f.of_any_job(raw.RECEIPTS, late)
    f.signals(job_id, "kling_done", unwoken)
    return [job_id]


@forgery
def a_video_of_which_the_vendor_was_told_no_address(f: Forger) -> Iterable[str]:
    [job_id] = f.of_any_job(VIDEO, lambda row: row.update(calls_back=False, callbacks=[]))
    f.drop(raw.RECEIPTS, of=job_id)
    return [job_id]


@forgery
def an_end_applied_twice(f: Forger) -> Iterable[str]:
    job_id = f.job()
    rows = f.rows(raw.RECEIPTS)
    last = next(r for r in rows if (r["job_id"], r["task_status"]) == (job_id, "succeed"))
    f.put(raw.RECEIPTS, [*rows, last | {"receipt_id": 10_000}])
    return [job_id]


@forgery
def an_end_sent_and_applied_twice(f: Forger) -> Iterable[str]:
    [job_id] = an_end_applied_twice(f)
    more = {"delivery_id": "msg_another"}
    f.each(
        VIDEO,
        lambda row: row["callbacks"].append(copy.deepcopy(row["callbacks"][-1]) | more),
        of=job_id,
    )
    return [job_id]


@forgery
def callbacks_rejected_though_no_fault_was_armed(f: Forger) -> Iterable[str]:
    job_id, fate = f.job(), f.random.choice(("rejected", "unknown"))
    rows = f.rows(raw.RECEIPTS)
    one = next(row for row in rows if row["job_id"] == job_id)
    f.put(
        raw.RECEIPTS, [*rows, *(one | {"receipt_id": 9000 + n, "fate": fate} for n in range(200))]
    )
    more = [{"delivery_id": f"msg_{n}", "reply": 202} for n in range(200)]
    f.each(
        VIDEO,
        lambda row: row["callbacks"].extend(row["callbacks"][0] | each for each in more),
        of=job_id,
    )
    return [job_id]


@forgery
def deliveries_refused_though_no_fault_was_armed(f: Forger) -> Iterable[str]:
    refused = {"delivery_id": "msg_refused", "reply": 401}
    return f.of_any_job(VIDEO, lambda row: row["callbacks"].append(row["callbacks"][0] | refused))


@forgery
def a_callback_that_was_rejected(f: Forger) -> Iterable[str]:
    return f.of_any_job(raw.RECEIPTS, lambda row: row.update(fate="rejected"))


@forgery
def a_receipt_for_another_jobs_task(f: Forger) -> Iterable[str]:
    one, other = f.pair()
    task = next(row["task_id"] for row in f.rows(raw.RECEIPTS) if row["job_id"] == other)
    f.each(raw.RECEIPTS, lambda row: row.update(task_id=task), of=one)
    return [one, other]


@forgery
def a_receipt_for_a_job_that_nobody_knows(f: Forger) -> Iterable[str]:
    rows = f.rows(raw.RECEIPTS)
    f.put(raw.RECEIPTS, [*rows, rows[0] | {"job_id": "job-000000000000000000000000"}])
    return ["job-000000000000000000000000"]


@forgery
def a_receipt_of_a_failure(f: Forger) -> Iterable[str]:
    job_id = f.job()

    def change(rows: list[Row]) -> None:
        own = [row for row in rows if job_in(row) == job_id]
        own[-1]["task_status"] = "failed"

    f.edit(raw.RECEIPTS, change)
    return [job_id]


@forgery
def the_bill_says_that_a_callback_was_not_answered(f: Forger) -> Iterable[str]:
    unanswered = [{"job_id": "1", "external_id": f"{f.job()}.video.1", "status": "succeed"}]
    f.json(
        raw.VENDORS, lambda body: body["video"]["verdict"].update(callbacks_unanswered=unanswered)
    )
    return ()


@forgery
def a_fate_that_there_is_not(f: Forger) -> Iterable[str]:
    return f.of_any_job(raw.RECEIPTS, lambda row: row.update(fate="fine"))


@forgery
def a_callback_taken_as_another_jobs(f: Forger) -> Iterable[str]:
    one, other = f.pair()
    f.each(raw.RECEIPTS, lambda row: row.update(external_id=f"{other}.video.1"), of=one)
    return [one, other]


@forgery
def a_callback_received_after_it_had_its_effect(f: Forger) -> Iterable[str]:
    return f.of_any_job(
        raw.RECEIPTS, lambda row: row.update(received_at=moved(row["received_at"], 2))
    )
