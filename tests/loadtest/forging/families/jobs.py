"""Lies about the life of a job and its files."""

from collections.abc import Iterable
from typing import Any

from loadtest.books import raw
from tests.loadtest.forging.kit import LEDGERS, Forger, Row, forgeries, forgery, job_in


def _record(f: Forger, job_id: str, change: Any) -> None:
    f.each(raw.STATES, lambda row: change(row["record"]), of=job_id)


def _any_record(f: Forger, change: Any) -> Iterable[str]:
    return f.of_any_job(raw.STATES, lambda row: change(row["record"]))


def _change(f: Forger, place: int, **other: object) -> Iterable[str]:
    """Change one version of a job's record."""
    return _any_record(f, lambda record: record["transitions"][place].update(other))


@forgery
def a_record_that_fails_after_its_success(f: Forger) -> Iterable[str]:
    def change(record: Row) -> None:
        last = record["transitions"][-1]
        record["transitions"].append(last | {"version": last["version"] + 1, "status": "failed"})

    return _any_record(f, change)


@forgery
def a_job_that_never_ran(f: Forger) -> Iterable[str]:
    def change(record: Row) -> None:
        for each in record["transitions"][1:-1]:
            each["status"] = "queued"

    return _any_record(f, change)


@forgery
def a_record_of_another_version_than_its_last_change(f: Forger) -> Iterable[str]:
    job_id = f.job()
    for name, key in ((raw.JOBS, "job"), (raw.STATES, "record")):
        f.each(name, lambda row, key=key: row[key].update(version=9), of=job_id)  # type: ignore[misc]
    return [job_id]


@forgery
def a_list_and_a_record_that_say_failed(f: Forger) -> Iterable[str]:
    job_id = f.job()
    f.each(raw.JOBS, lambda row: row["job"].update(status="failed"), of=job_id)
    _record(f, job_id, lambda record: record.update(status="failed"))
    _record(f, job_id, lambda record: record["transitions"][-1].update(status="failed"))
    return [job_id]


def _frames(f: Forger, change: Any) -> Iterable[str]:
    """Change the frames of one job."""
    job_id = f.job()
    f.edit(raw.FRAMES, lambda rows: change([row for row in rows if job_in(row) == job_id]))
    return [job_id]


@forgery
def frames_that_go_back(f: Forger) -> Iterable[str]:
    def swap(own: list[Row]) -> None:
        a, b = own[3], own[4]
        for key in ("version", "status", "step", "percent"):
            a[key], b[key] = b[key], a[key]

    return _frames(f, swap)


def _show(f: Forger, job_id: str, version: int, **other: object) -> None:
    """Change the frames of one version of a job."""

    def change(row: Row) -> None:
        if row["version"] == version:
            row |= other

    f.each(raw.FRAMES, change, of=job_id)


def _everywhere(f: Forger, version: int, **other: object) -> Iterable[str]:
    """Change one version of a job, in its record and in its frames."""
    job_id = f.job()
    _record(f, job_id, lambda record: record["transitions"][version - 1].update(other))
    _show(f, job_id, version, **other)
    return [job_id]


@forgery
def a_video_first_by_record_and_feed(f: Forger) -> Iterable[str]:
    job_id = f.job()

    def change(row: Row) -> None:
        row["record"]["transitions"][1]["step"] = "video"
        row["record"]["attempts"]["image"] = 0

    f.each(raw.STATES, change, of=job_id)
    f.each(raw.JOBS, lambda row: row["job"]["attempts"].update(image=0), of=job_id)
    f.orders(job_id, lambda body: body.pop("attempt") if body.get("stage") == "image" else None)

    _show(f, job_id, 2, step="video")
    return [job_id]


@forgery
def a_success_at_99_percent_in_every_book(f: Forger) -> Iterable[str]:
    job_id = f.job()
    f.each(raw.JOBS, lambda row: row["job"].update(percent=99), of=job_id)
    _record(f, job_id, lambda record: record.update(percent=99))
    _record(f, job_id, lambda record: record["transitions"][-1].update(percent=99))

    def show(rows: list[Row]) -> None:
        [row for row in rows if job_in(row) == job_id][-1]["percent"] = 99

    f.edit(raw.FRAMES, show)
    return [job_id]


@forgery
def a_version_that_record_and_feed_have_lost(f: Forger) -> Iterable[str]:
    job_id = f.job()
    _record(f, job_id, lambda record: record["transitions"].__delitem__(slice(1, 2)))
    f.put(
        raw.FRAMES,
        [row for row in f.rows(raw.FRAMES) if (job_in(row), row["version"]) != (job_id, 2)],
    )
    return [job_id]


@forgery
def a_list_that_tells_of_another_style(f: Forger) -> Iterable[str]:
    job_id, name = f.job(), f.random.choice(("style", "priority", "asset_url", "error"))
    f.each(raw.JOBS, lambda row: row["job"].update({name: "another"}), of=job_id)
    return [job_id]


@forgery
def a_frame_of_a_job_that_nobody_knows(f: Forger) -> Iterable[str]:
    rows = f.rows(raw.FRAMES)
    f.put(raw.FRAMES, [*rows, rows[0] | {"job_id": "job-000000000000000000000000"}])
    return ["job-000000000000000000000000"]


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
    job_id = f.job()
    like = _file(f, job_id, kind)
    for other in f.order:
        _store(f, other, kind, like=like)
    f.each(raw.LEDGERS[kind], lambda row: row.update(_made(like)))
    if kind == "image":
        f.each(raw.LEDGERS["video"], lambda row: row.update(_made(like, "source_")))
    return [other for other in f.order if other != job_id]


@forgery
def one_file_for_all_jobs_in_every_book(f: Forger) -> Iterable[str]:
    job_id = f.job()
    like = _file(f, job_id, "video")

    def film(body: Row) -> None:
        if str(body["asset_url"]).endswith("video"):
            body["asset"].update(sha256=like["sha256"], size=like["bytes"])

    for other in f.order:
        _store(f, other, "video", like=like)
        f.results(other, film)
    f.each(raw.LEDGERS["video"], lambda row: row.update(_made(like)))
    return [other for other in f.order if other != job_id]


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
def no_videos_decode(f: Forger) -> Iterable[str]:
    f.put(raw.FILES, [row for row in f.rows(raw.FILES) if row["kind"] == "image"])
    return f.order[:1]


@forgery
def nobody_looked_at_a_file(f: Forger) -> Iterable[str]:
    job_id, kind = f.job(), f.random.choice(KINDS)
    rows = [row for row in f.rows(raw.FILES) if (row["job_id"], row["kind"]) != (job_id, kind)]
    f.put(raw.FILES, rows)
    return [job_id]


forgeries(
    {
        "a record that begins at version 3": lambda f: _any_record(
            f, lambda record: record["transitions"].__delitem__(slice(2))
        ),
        "a success in the middle": lambda f: _change(f, 3, status="succeeded"),
        "a gap in the versions": lambda f: _any_record(
            f, lambda record: record["transitions"].pop(4)
        ),
        "a percentage that falls": lambda f: _change(f, 3, percent=90),
        "an attempt that falls": lambda f: _change(f, 3, attempt=2),
        "a video before the image": lambda f: _change(f, 1, step="video"),
        "an image after the video": lambda f: _change(f, 4, step="image"),
        "a record of another version than the list": lambda f: f.of_any_job(
            raw.JOBS, lambda row: row["job"].update(version=row["job"]["version"] + 1)
        ),
        "a list that says failed": lambda f: f.of_any_job(
            raw.JOBS, lambda row: row["job"].update(status="failed")
        ),
        "a success at 99 percent": lambda f: f.of_any_job(
            raw.JOBS, lambda row: row["job"].update(percent=99)
        ),
        "a frame that tells another percentage": lambda f: _frames(
            f, lambda own: own[-2].update(percent=own[-2]["percent"] + 1)
        ),
        "a frame that tells another status": lambda f: _frames(
            f, lambda own: own[-2].update(status="failed")
        ),
        "a frame of a version that was never": lambda f: _frames(
            f, lambda own: own[-1].update(version=own[-1]["version"] + 1)
        ),
        "a frame that waits again": lambda f: _frames(
            f, lambda own: own[-3].update(status="queued", step=None)
        ),
        "a success in the middle by record and feed": lambda f: _everywhere(
            f, 4, status="succeeded"
        ),
        "a percentage that falls by record and feed": lambda f: _everywhere(f, 4, percent=90),
        "an image after the video by record and feed": lambda f: _everywhere(f, 4, step="image"),
        "picture and film do not belong together": lambda f: _swap(
            f, f.pair(), raw.LEDGERS["video"], "source_sha256", "source_shows"
        ),
        "a record without files": lambda f: f.of_any_job(
            raw.STATES, lambda row: row["record"].update(assets={})
        ),
        "a file of another hash": lambda f: f.of_any_job(
            raw.FILES, lambda row: row.update(sha256="0" * 64)
        ),
        "a file without a hash": lambda f: f.of_any_job(
            raw.FILES, lambda row: row.update(sha256=None)
        ),
        "a file that does not decode": lambda f: f.of_any_job(
            raw.FILES, lambda row: row.update(problem="does not decode: no")
        ),
        "prompts swapped at a vendor": lambda f: _swap(
            f, f.pair(), f.random.choice(LEDGERS), "prompt"
        ),
        "prompts swapped at the sender": lambda f: _swap(f, f.pair(), raw.SUBMITS, "prompt"),
        "another prompt in the record": lambda f: f.of_any_job(
            raw.STATES, lambda row: row["record"].update(prompt="another")
        ),
        "another prompt in the list": lambda f: f.of_any_job(
            raw.JOBS, lambda row: row["job"].update(prompt="another")
        ),
    }
)
