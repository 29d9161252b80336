"""Callbacks that were dropped, doubled or refused."""

from collections.abc import Iterable

from loadtest.books import raw
from tests.loadtest.forging.kit import (
    SIGNALED,
    Forger,
    Row,
    forgeries,
    forgery,
    forgery_of,
    job_in,
    moved,
    rewrite,
)
from tests.loadtest.synthetic import exactly

VIDEO = raw.LEDGERS["video"]
STRANGER = "job-000000000000000000000000"


def _status(f: Forger) -> str:
    return f.random.choice(("processing", "succeed"))


def _drop_delivery(f: Forger, status: str) -> list[str]:
    return f.set(VIDEO, callbacks=lambda sent: [each for each in sent if each["status"] != status])


@forgery
def delivery_and_receipt_dropped_together(f: Forger) -> Iterable[str]:
    status = _status(f)
    [job_id] = _drop_delivery(f, status)
    return f.drop(raw.RECEIPTS, of=job_id, task_status=status)


@forgery_of("contradicting-callbacks")
def a_contradicting_callback_that_told_the_truth(f: Forger) -> Iterable[str]:
    [job_id] = f.of_any_job(raw.RECEIPTS, lambda row: row.update(task_status="succeed"))
    return f.signals(
        job_id,
        "kling_done",
        lambda event: rewrite(event[SIGNALED]["input"], lambda b: b.update(task_status="succeed")),
    )


@forgery
def no_callbacks_at_all(f: Forger) -> Iterable[str]:
    f.each(VIDEO, lambda row: row.update(callbacks=[]))
    f.put(raw.RECEIPTS, [])
    return f.order[:1]


@forgery
def callbacks_that_never_arrived(f: Forger) -> Iterable[str]:
    """As where the address is wrong: the vendor calls, nobody hears it, and polls make it good."""
    lost = {"reply": None, "error": "ConnectError"}
    f.each(VIDEO, lambda row: [told.update(lost) for told in row["callbacks"]])
    f.put(raw.RECEIPTS, [])
    return f.unsignalled(*f.order)


@forgery
def an_end_that_is_called_late_and_not_signalled(f: Forger) -> Iterable[str]:
    def unwoken(event: Row) -> None:
        event[SIGNALED]["signalName"] = "report_progress"
        rewrite(event[SIGNALED]["input"], dict.clear)

    def late(row: Row) -> None:
        if row["task_status"] == "succeed":
            row["fate"] = "late"

    [job_id] = f.of_any_job(raw.RECEIPTS, late)
    return f.signals(job_id, "kling_done", unwoken)


@forgery
def a_video_of_which_the_vendor_was_told_no_address(f: Forger) -> Iterable[str]:
    [job_id] = f.set(VIDEO, calls_back=False, callbacks=[])
    return f.drop(raw.RECEIPTS, of=job_id)


def _applied_twice(f: Forger, status: str) -> list[str]:
    job_id = f.job()
    rows = f.rows(raw.RECEIPTS)
    last = next(r for r in rows if (r["job_id"], r["task_status"]) == (job_id, status))
    f.put(raw.RECEIPTS, [*rows, last | {"receipt_id": 10_000}])
    return [job_id]


def _sent_and_applied_twice(f: Forger, status: str) -> Iterable[str]:
    def again(sent: list[Row]) -> list[Row]:
        [one] = [each for each in sent if each["status"] == status]
        return [*sent, one | {"delivery_id": "msg_another"}]

    [job_id] = _applied_twice(f, status)
    return f.set(VIDEO, of=job_id, callbacks=again)


@forgery
def callbacks_rejected_though_no_fault_was_armed(f: Forger) -> Iterable[str]:
    job_id, fate = f.job(), f.random.choice(("rejected", "unknown"))
    rows = f.rows(raw.RECEIPTS)
    one = next(row for row in rows if row["job_id"] == job_id)
    many = (one | {"receipt_id": 9000 + n, "fate": fate} for n in range(200))
    f.put(raw.RECEIPTS, [*rows, *many])
    more = [{"delivery_id": f"msg_{n}", "reply": 202} for n in range(200)]
    return f.set(VIDEO, of=job_id, callbacks=lambda sent: sent + [sent[0] | each for each in more])


@forgery
def a_receipt_for_another_jobs_task(f: Forger) -> Iterable[str]:
    one, other = f.pair()
    task = next(row["task_id"] for row in f.rows(raw.RECEIPTS) if row["job_id"] == other)
    return [*f.set(raw.RECEIPTS, of=one, task_id=task), other]


@forgery
def a_receipt_for_a_job_that_nobody_knows(f: Forger) -> Iterable[str]:
    rows = f.rows(raw.RECEIPTS)
    f.put(raw.RECEIPTS, [*rows, rows[0] | {"job_id": STRANGER}])
    return [STRANGER]


@forgery
def the_bill_says_that_a_callback_was_not_answered(f: Forger) -> Iterable[str]:
    told = [{"job_id": "1", "external_id": f"{f.job()}.video.1", "status": "succeed"}]
    f.json(raw.VENDORS, lambda body: body["video"]["verdict"].update(callbacks_unanswered=told))
    return ()


@forgery
def a_callback_taken_as_another_jobs(f: Forger) -> Iterable[str]:
    one, other = f.pair()
    return [*f.set(raw.RECEIPTS, of=one, external_id=f"{other}.video.1"), other]


@forgery_of("slow-vendor")
def a_callback_told_as_early_that_its_job_waited_for(f: Forger) -> Iterable[str]:
    waits: dict[str, str] = {}

    def look(events: list[Row]) -> None:
        kind = "EVENT_TYPE_ACTIVITY_TASK_SCHEDULED"
        waits[job_id] = [e["eventTime"] for e in events if e["eventType"] == kind][-1]

    for job_id in f.order:
        f.history(job_id, look)
    first = {"task_status": "processing", "fate": "applied"}
    rows = (row for row in f.rows(raw.RECEIPTS) if row | first == row)
    told = next(r for r in rows if r["received_at"] > moved(waits[r["job_id"]], 0.02))
    f.edit(raw.RECEIPTS, lambda rows: rows[rows.index(told)].update(fate="early"))
    return [told["job_id"]]


@forgery
def a_plain_callback_told_as_out_of_order(f: Forger) -> Iterable[str]:
    """It was received just after the end, as its receipt has it."""
    job_id = f.job()
    rows = f.rows(raw.RECEIPTS)
    first, last = (row for row in rows if row["job_id"] == job_id)
    first.update(received_at=moved(last["received_at"], 0.012), fate="out_of_order")
    f.put(raw.RECEIPTS, rows)
    return [job_id]


@forgery_of("forged-callbacks")
def a_callback_with_a_wrong_token_that_was_applied(f: Forger) -> Iterable[str]:
    rejected = next(row for row in f.rows(raw.RECEIPTS) if row["fate"] == "rejected")
    f.edit(raw.RECEIPTS, lambda rows: rows[rows.index(rejected)].update(fate="applied"))
    return [rejected["job_id"]]


@forgery_of("forged-callbacks")
def a_callback_with_a_wrong_token_that_was_answered_and_applied(f: Forger) -> Iterable[str]:
    """By receipt and ledger; the vendor's own note of it stays."""
    job_id, *_ = a_callback_with_a_wrong_token_that_was_read_and_applied(f)

    def answer(row: Row) -> None:
        for sent in row["callbacks"]:
            if "wrong token" in sent["note"]:
                sent.update(reply=200, error=None)

    f.each(VIDEO, answer, of=job_id)
    return [f"receipts: {job_id}"]


@forgery_of("forged-callbacks")
def a_callback_with_a_wrong_token_that_was_read_and_applied(f: Forger) -> Iterable[str]:
    video = next(row for row in f.rows(VIDEO) if "wrong token" in row["callbacks"][0]["note"])
    job_id = str(video["external_id"]).split(".")[0]
    told = {"task_id": video["job_id"], "task_status": "processing", "fate": "applied"}

    def read(rows: list[Row]) -> None:
        row = next(row for row in rows if row["job_id"] == job_id and row["fate"] == "rejected")
        row.update(told, external_id=video["external_id"])

    f.edit(raw.RECEIPTS, read)
    return [job_id]


def _told(f: Forger, sent: Row, row: Row, *, fate: str, at: str) -> None:
    """A callback was sent and answered then, by the ledger, and received, by its receipt."""
    sent.update(note="", reply=200, error=None, sent_at=at)
    receipt = {"received_at": moved(at, 0.003), "job_id": job_in(row), "task_id": row["job_id"]}
    receipt |= {"task_status": sent["status"], "fate": fate, "decided": True}
    cause = row["started_ts" if sent["status"] == "processing" else "finished_ts"]
    receipt |= {"external_id": row["external_id"], "updated_at": int(cause * 1000)}
    f.folder.append(raw.RECEIPTS, [receipt])


@forgery
def an_end_that_was_signalled_before_it_was_received(f: Forger) -> Iterable[str]:
    def late(row: Row) -> None:
        if row["task_status"] == "succeed":
            row.update(received_at=moved(row["received_at"], 0.2), fate="late")

    [job_id] = f.of_any_job(raw.RECEIPTS, late)
    return [f"receipts.received_at: {job_id}"]


@forgery_of("lost-callbacks")
def a_lost_callback_told_as_applied(f: Forger) -> Iterable[str]:
    return f.of_any_job(
        VIDEO,
        lambda row: _told(f, row["callbacks"][0], row, fate="applied", at=row["started_at"]),
    )


@forgery_of("lost-callbacks")
def lost_callbacks_told_as_late_ones_without_a_fault(f: Forger) -> Iterable[str]:
    hidden = len(f.rows(raw.FAULTS))
    f.put(raw.FAULTS, [])

    def disarm(run: Row) -> None:
        run["plan"]["faults"] = []
        for service in run["faults"].values():
            service["rules"] = []

    f.json(raw.RUN, disarm)

    def forget(told: Row) -> None:
        told["video"]["stats"]["faults_injected"] -= hidden
        told["video"].update(faults_recorded=0, faults_remembered=0)

    f.json(raw.VENDORS, forget)
    closed = {row["job_id"]: row["closed"] for row in f.rows(raw.EXECUTIONS)}

    def late(row: Row) -> None:
        first, last = row["callbacks"]
        _told(f, first, row, fate="applied", at=moved(row["started_at"], 0.001))
        _told(f, last, row, fate="late", at=exactly(closed[job_in(row)] + 1))

    f.each(VIDEO, late)
    return f.order


@forgery_of("duplicate-callbacks")
def a_repeated_callback_told_as_sent_once(f: Forger) -> Iterable[str]:
    """Ledger and receipts have one of three; the trace of the fault stays."""
    job_id = f.job()
    f.set(VIDEO, of=job_id, callbacks=lambda sent: [c for c in sent if c["note"] != "repeated"])
    return f.drop(raw.RECEIPTS, of=job_id, fate="duplicate")


@forgery_of("callbacks-out-of-order")
def a_callback_that_was_held_back_told_as_in_order(f: Forger) -> Iterable[str]:
    def in_order(row: Row) -> None:
        first, last = sorted(row["callbacks"], key=lambda sent: sent["status"] == "succeed")
        first.update(note="", sent_at=moved(row["started_at"], 0.001))
        row["callbacks"] = [first, last]

    def applied(row: Row) -> None:
        if row["task_status"] == "processing":
            row.update(fate="applied", received_at=moved(starts[row["job_id"]], 0.004))

    starts = {job_in(row): row["started_at"] for row in f.rows(VIDEO)}
    [job_id] = f.of_any_job(VIDEO, in_order)
    f.each(raw.RECEIPTS, applied, of=job_id)
    return [job_id]


@forgery_of("forged-callbacks")
def a_callback_with_a_wrong_token_told_as_right(f: Forger) -> Iterable[str]:
    """By ledger and receipt; the trace of the fault stays."""
    job_id, *_ = a_callback_with_a_wrong_token_that_was_read_and_applied(f)

    def right(row: Row) -> None:
        for sent in row["callbacks"]:
            note = sent["note"].replace("wrong token", "").strip(", ")
            sent.update(note=note, reply=200, error=None)

    f.each(VIDEO, right, of=job_id)
    return [job_id]


REFUSED = {"delivery_id": "msg_refused", "reply": 401}
forgeries(
    {
        "an end applied twice": lambda f: _applied_twice(f, "succeed"),
        "an end sent and applied twice": lambda f: _sent_and_applied_twice(f, "succeed"),
        "a beginning sent and applied twice": lambda f: _sent_and_applied_twice(f, "processing"),
        "a delivery dropped": lambda f: _drop_delivery(f, _status(f)),
        "a receipt dropped": lambda f: f.drop(raw.RECEIPTS, task_status=_status(f)),
        "deliveries refused though no fault was armed": lambda f: f.set(
            VIDEO, callbacks=lambda sent: [*sent, sent[0] | REFUSED]
        ),
        "a callback that was rejected": lambda f: f.set(raw.RECEIPTS, fate="rejected"),
    }
)


@forgery_of("forged-callbacks")
def a_forged_callback_of_which_no_receipt_is_left(f: Forger) -> Iterable[str]:
    [job_id, *_] = [str(row["job_id"]) for row in f.rows(raw.RECEIPTS) if row["task_id"] is None]
    return f.drop(raw.RECEIPTS, of=job_id, task_id=None)
