"""Attempts as the list, the record, the history and the vendors tell them."""

from collections.abc import Iterable

from loadtest.books import raw
from tests.loadtest.forging.kit import Forger, Row, forgery

STEPS = ("image", "video")


def _tell(f: Forger, name: str, key: str, *, number: int) -> Iterable[str]:
    job_id, step = f.job(), f.random.choice(STEPS)
    f.each(name, lambda row: row[key]["attempts"].update({step: number}), of=job_id)
    return [job_id]


@forgery
def more_in_the_list(f: Forger) -> Iterable[str]:
    return _tell(f, raw.JOBS, "job", number=2)


@forgery
def fewer_in_the_list(f: Forger) -> Iterable[str]:
    return _tell(f, raw.JOBS, "job", number=0)


@forgery
def more_in_the_record(f: Forger) -> Iterable[str]:
    return _tell(f, raw.STATES, "record", number=3)


@forgery
def fewer_in_the_record(f: Forger) -> Iterable[str]:
    return _tell(f, raw.STATES, "record", number=0)


@forgery
def more_in_list_and_record(f: Forger) -> Iterable[str]:
    job_id, step = f.job(), f.random.choice(STEPS)

    def change(row: Row) -> None:
        row["record"]["attempts"][step] = 2
        for each in row["record"]["transitions"]:
            if each["step"] == step:
                each["attempt"] = 2

    f.each(raw.JOBS, lambda row: row["job"]["attempts"].update({step: 2}), of=job_id)
    f.each(raw.STATES, change, of=job_id)
    return [job_id]


def claim(f: Forger, job_id: str, step: str) -> None:
    """A second attempt at a stage, in every book but the vendor's."""

    def change(row: Row) -> None:
        row["record"]["attempts"][step] = 2
        for each in row["record"]["transitions"]:
            if each["step"] == step and (each["percent"] or step == "image"):
                each["attempt"] = 2

    f.each(raw.JOBS, lambda row: row["job"]["attempts"].update({step: 2}), of=job_id)
    f.each(raw.STATES, change, of=job_id)
    f.each(raw.TEMPORAL, lambda r: r["orders"].append({"step": step, "attempt": 2}), of=job_id)


@forgery
def more_everywhere_but_at_the_vendor(f: Forger) -> Iterable[str]:
    job_id = f.job()
    claim(f, job_id, f.random.choice(STEPS))
    return [job_id]


@forgery
def more_in_the_history(f: Forger) -> Iterable[str]:
    job_id, step = f.job(), f.random.choice(STEPS)
    f.each(
        raw.TEMPORAL,
        lambda row: row["orders"].append({"step": step, "attempt": 2}),
        of=job_id,
    )
    return [job_id]


@forgery
def none_in_the_history(f: Forger) -> Iterable[str]:
    return f.of_any_job(raw.TEMPORAL, lambda row: row.update(orders=[]))


@forgery
def none_in_any_history(f: Forger) -> Iterable[str]:
    f.each(raw.TEMPORAL, lambda row: row.update(orders=[], results=[]))
    return f.order[:1]


@forgery
def another_number_at_the_vendor(f: Forger) -> Iterable[str]:
    job_id, step = f.job(), f.random.choice(STEPS)
    other = {"external_id": f"{job_id}.{step}.2", "attempt": 2}
    f.each(raw.LEDGERS[step], lambda row: row.update(other), of=job_id)
    return [job_id]


@forgery
def a_delivery_more_than_the_history_has(f: Forger) -> Iterable[str]:
    return f.of_any_job(raw.TEMPORAL, lambda row: row["activities"][0].update(attempt=3))
