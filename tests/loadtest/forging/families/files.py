"""Files, their hashes, and for which prompt they were made."""

from collections.abc import Iterable

from loadtest.books import raw
from tests.loadtest.forging.kit import LEDGERS, Forger, Row, forgery, job_in

KINDS = ("image", "video")


def _file(f: Forger, job_id: str, kind: str) -> Row:
    return next(row for row in f.rows(raw.FILES) if row["job_id"] == job_id and row["kind"] == kind)


def _store(f: Forger, job_id: str, kind: str, *, like: Row) -> None:
    """The file and its record say what another file is."""

    def change(row: Row) -> None:
        if row["kind"] == kind:
            row |= {key: like[key] for key in ("bytes", "sha256", "shows")}

    f.each(raw.FILES, change, of=job_id)
    noted = {"size": like["bytes"], "sha256": like["sha256"]}
    f.each(raw.STATES, lambda row: row["record"]["assets"][kind].update(noted), of=job_id)


def _made(like: Row, prefix: str = "") -> Row:
    """What a vendor says of a file that it made."""
    return {f"{prefix}{key}": like[key] for key in ("sha256", "shows")}


@forgery
def one_file_for_all_jobs(f: Forger) -> Iterable[str]:
    kind, job_id = f.random.choice(KINDS), f.job()
    like = _file(f, job_id, kind)
    for other in f.order:
        _store(f, other, kind, like=like)
    return [f.order[1]] if f.order[1] != job_id else [f.order[2]]


@forgery
def one_file_for_all_jobs_and_all_ledgers(f: Forger) -> Iterable[str]:
    kind = f.random.choice(KINDS)
    like = _file(f, f.job(), kind)
    for other in f.order:
        _store(f, other, kind, like=like)
    f.each(raw.LEDGERS[kind], lambda row: row.update(_made(like)))
    if kind == "image":
        f.each(raw.LEDGERS["video"], lambda row: row.update(_made(like, "source_")))
    return [f.order[1]]


@forgery
def one_file_for_all_jobs_in_every_book(f: Forger) -> Iterable[str]:
    like = _file(f, f.job(), "video")
    for other in f.order:
        _store(f, other, "video", like=like)
    f.each(raw.LEDGERS["video"], lambda row: row.update(_made(like)))
    f.each(raw.TEMPORAL, lambda row: row["results"][-1].update(sha256=like["sha256"]))
    return [f.order[1]]


@forgery
def two_jobs_files_swapped_with_their_records(f: Forger) -> Iterable[str]:
    pair, kind = f.pair(), f.random.choice(KINDS)
    files = {job_id: _file(f, job_id, kind) for job_id in pair}
    for one, other in (pair, pair[::-1]):
        _store(f, one, kind, like=files[other])
    return pair


def _swap(f: Forger, pair: tuple[str, str], name: str, *keys: str) -> Iterable[str]:
    """The rows of two jobs say of each what is so of the other."""
    said = {job_in(row): {key: row[key] for key in keys} for row in f.rows(name)}
    one, other = pair
    swapped = {one: said[other], other: said[one]}
    f.each(name, lambda row: row.update(swapped.get(job_in(row), {})))
    return pair


@forgery
def picture_and_film_do_not_belong_together(f: Forger) -> Iterable[str]:
    return _swap(f, f.pair(), raw.LEDGERS["video"], "source_sha256", "source_shows")


@forgery
def a_record_without_files(f: Forger) -> Iterable[str]:
    return f.of_any_job(raw.STATES, lambda row: row["record"].update(assets={}))


@forgery
def a_record_without_one_file(f: Forger) -> Iterable[str]:
    job_id, kind = f.job(), f.random.choice(KINDS)
    f.each(raw.STATES, lambda row: row["record"]["assets"].pop(kind), of=job_id)
    return [job_id]


@forgery
def a_wrong_size(f: Forger) -> Iterable[str]:
    job_id, kind = f.job(), f.random.choice(KINDS)
    f.each(raw.STATES, lambda row: row["record"]["assets"][kind].update(size=1), of=job_id)
    return [job_id]


@forgery
def a_file_of_another_hash(f: Forger) -> Iterable[str]:
    return f.of_any_job(raw.FILES, lambda row: row.update(sha256="0" * 64))


@forgery
def no_videos_decode(f: Forger) -> Iterable[str]:
    f.put(raw.FILES, [row for row in f.rows(raw.FILES) if row["kind"] == "image"])
    return f.order[:1]


@forgery
def nobody_looked_at_a_file(f: Forger) -> Iterable[str]:
    job_id, kind = f.job(), f.random.choice(KINDS)
    rows = [row for row in f.rows(raw.FILES) if (row["job_id"], row["kind"]) != (job_id, kind)]
    f.put(raw.FILES, rows)
    return [job_id]


@forgery
def a_file_without_a_hash(f: Forger) -> Iterable[str]:
    return f.of_any_job(raw.FILES, lambda row: row.update(sha256=None))


@forgery
def a_file_that_does_not_decode(f: Forger) -> Iterable[str]:
    return f.of_any_job(raw.FILES, lambda row: row.update(problem="does not decode: no"))


@forgery
def prompts_swapped_at_a_vendor(f: Forger) -> Iterable[str]:
    return _swap(f, f.pair(), f.random.choice(LEDGERS), "prompt")


@forgery
def prompts_swapped_at_the_sender(f: Forger) -> Iterable[str]:
    return _swap(f, f.pair(), raw.SUBMITS, "prompt")


@forgery
def another_prompt_in_the_record(f: Forger) -> Iterable[str]:
    return f.of_any_job(raw.STATES, lambda row: row["record"].update(prompt="another"))


@forgery
def another_prompt_in_the_list(f: Forger) -> Iterable[str]:
    return f.of_any_job(raw.JOBS, lambda row: row["job"].update(prompt="another"))
