"""Lies about the life of a job and its files."""

import base64
import json
from collections.abc import Iterable
from typing import Any

from loadtest.books import raw
from tests.loadtest.forging.kit import Forger, Row, forgeries, forgery, forgery_of, job_in

KINDS = ("image", "video")


def _version(f: Forger, place: int, *, of: str | None = None, **other: Any) -> list[str]:
    """One version of a job's record says something else."""
    return f.set(raw.STATES, "record", "transitions", place, of=of, **other)


def _versions(f: Forger, change: Any) -> list[str]:
    """The list of versions in a job's record is another one."""
    return f.set(raw.STATES, "record", transitions=change)


@forgery
def a_job_whose_id_does_not_follow_from_its_key(f: Forger) -> Iterable[str]:
    before, after = f.job(), "job-" + "5" * 24

    def rename(value: Any) -> Any:
        if isinstance(value, dict) and isinstance(data := value.get("data"), str):
            text = base64.b64decode(data).decode().replace(before, after)
            return value | {"data": base64.b64encode(text.encode()).decode()}
        if isinstance(value, dict):
            return {key: rename(each) for key, each in value.items()}
        if isinstance(value, list):
            return [rename(each) for each in value]
        return value.replace(before, after) if isinstance(value, str) else value

    for path in [*f.folder.raw.iterdir(), f.folder.histories / f"{before}.json"]:
        if path.parent == f.folder.histories:
            text = json.dumps(rename(json.loads(path.read_text("utf-8"))))
        else:
            text = path.read_text("utf-8")
        path.with_name(path.name.replace(before, after)).write_text(text.replace(before, after))
    (f.folder.histories / f"{before}.json").unlink()
    return [after]


def _in_both(f: Forger, **other: Any) -> list[str]:
    """List and record of a job say something else."""
    [job_id] = f.set(raw.JOBS, "job", **other)
    return f.set(raw.STATES, "record", of=job_id, **other)


def _frames(f: Forger, change: Any, *, of: str | None = None) -> list[str]:
    """Change the frames of one job."""
    job_id = of or f.job()
    f.edit(raw.FRAMES, lambda rows: change([row for row in rows if job_in(row) == job_id]))
    return [job_id]


def _everywhere(f: Forger, version: int, **other: Any) -> list[str]:
    """Change one version of a job, in its record and in its frames."""
    [job_id] = _version(f, version - 1, **other)

    def show(own: list[Row]) -> None:
        for row in own:
            if row["version"] == version:
                row |= other

    return _frames(f, show, of=job_id)


@forgery
def a_record_that_fails_after_its_success(f: Forger) -> Iterable[str]:
    def again(changes: list[Row]) -> list[Row]:
        last = changes[-1]
        return [*changes, last | {"version": last["version"] + 1, "status": "failed"}]

    return _versions(f, again)


@forgery
def a_list_and_a_record_that_say_failed(f: Forger) -> Iterable[str]:
    [job_id] = _in_both(f, status="failed")
    return _version(f, -1, of=job_id, status="failed")


@forgery
def frames_that_go_back(f: Forger) -> Iterable[str]:
    def swap(own: list[Row]) -> None:
        a, b = own[3], own[4]
        for key in ("version", "status", "step", "percent"):
            a[key], b[key] = b[key], a[key]

    return _frames(f, swap)


@forgery
def a_video_first_by_record_and_feed(f: Forger) -> Iterable[str]:
    [job_id] = _everywhere(f, 2, step="video")
    f.set(raw.STATES, "record", "attempts", of=job_id, image=0)
    f.set(raw.JOBS, "job", "attempts", of=job_id, image=0)
    return f.orders(
        job_id, lambda body: body.pop("attempt") if body.get("stage") == "image" else None
    )


@forgery
def a_success_at_99_percent_in_every_book(f: Forger) -> Iterable[str]:
    [job_id] = _in_both(f, percent=99)
    _version(f, -1, of=job_id, percent=99)
    return _frames(f, lambda own: own[-1].update(percent=99), of=job_id)


@forgery
def a_version_that_record_and_feed_have_lost(f: Forger) -> Iterable[str]:
    [job_id] = _versions(f, lambda changes: changes[:1] + changes[2:])
    return f.drop(raw.FRAMES, of=job_id, version=2)


@forgery_of("slow-vendor")
def a_feed_that_stood_still(f: Forger) -> Iterable[str]:
    """All that happened in eleven seconds was shown at their end."""
    rows = sorted(f.rows(raw.FRAMES), key=lambda row: float(row["at"]))
    begin = rows[len(rows) // 4]["at"]
    for row in rows:
        if begin < row["at"] < begin + 11:
            row["at"] = begin + 11
    f.put(raw.FRAMES, rows)
    return ()


@forgery_of("success-without-url")
def a_job_whose_frames_came_at_its_end(f: Forger) -> Iterable[str]:
    """The other jobs' frames came in time."""
    frames = sorted(f.rows(raw.FRAMES), key=lambda row: float(row["at"]))
    own = {job_id: [row for row in frames if row["job_id"] == job_id] for job_id in f.order}
    lasts = {job_id: rows[-1]["at"] - rows[1]["at"] for job_id, rows in own.items()}
    job_id = max(lasts, key=lambda each: lasts[each])
    for row in own[job_id][2:]:
        row["at"] = own[job_id][-1]["at"]
    f.put(raw.FRAMES, sorted(frames, key=lambda row: float(row["at"])))
    return [job_id]


@forgery
def a_frame_of_a_job_that_nobody_knows(f: Forger) -> Iterable[str]:
    rows = f.rows(raw.FRAMES)
    f.put(raw.FRAMES, [*rows, rows[0] | {"job_id": "job-000000000000000000000000"}])
    return ["job-000000000000000000000000"]


def _file(f: Forger, job_id: str, kind: str) -> Row:
    return next(row for row in f.rows(raw.FILES) if row["job_id"] == job_id and row["kind"] == kind)


def _store(f: Forger, job_id: str, kind: str, *, like: Row) -> None:
    """The file and its record say what another file is."""

    def change(row: Row) -> None:
        if row["kind"] == kind:
            row |= {key: like[key] for key in ("bytes", "sha256", "shows")}

    f.each(raw.FILES, change, of=job_id)
    noted = {"size": like["bytes"], "sha256": like["sha256"]}
    f.set(raw.STATES, "record", "assets", kind, of=job_id, **noted)


def _made(like: Row, prefix: str = "") -> Row:
    """What a vendor says of a file that it made."""
    digest, _, _ = like["shows"].partition("/")
    return {f"{prefix}sha256": like["sha256"], f"{prefix}shows": digest}


def _one_file(f: Forger, kind: str) -> tuple[Row, list[str]]:
    """All jobs have the file of one; that file, and the others."""
    job_id = f.job()
    like = _file(f, job_id, kind)
    for other in f.order:
        _store(f, other, kind, like=like)
    return like, [other for other in f.order if other != job_id]


@forgery
def one_file_for_all_jobs_and_all_ledgers(f: Forger) -> Iterable[str]:
    kind = f.random.choice(KINDS)
    like, others = _one_file(f, kind)
    f.each(raw.LEDGERS[kind], lambda row: row.update(_made(like)))
    if kind == "image":
        f.each(raw.LEDGERS["video"], lambda row: row.update(_made(like, "source_")))
    return others


@forgery
def one_file_for_all_jobs_in_every_book(f: Forger) -> Iterable[str]:
    like, others = _one_file(f, "video")

    for job_id in f.order:
        _brought(f, job_id, "video", like=like)
    f.each(raw.LEDGERS["video"], lambda row: row.update(_made(like)))
    return others


def _brought(f: Forger, job_id: str, kind: str, *, like: Row) -> None:
    """A job's history brought another file."""

    def change(body: Row) -> None:
        if str(body["asset_url"]).endswith(kind):
            body["asset"].update(sha256=like["sha256"], size=like["bytes"])

    f.results(job_id, change)


def _files_swapped(f: Forger, kind: str) -> dict[str, Row]:
    """Two jobs with each other's file, by what was stored; the file that each has now."""
    pair = f.pair()
    files = {job_id: _file(f, job_id, kind) for job_id in pair}
    now = dict(zip(pair, (files[pair[1]], files[pair[0]]), strict=True))
    for job_id, like in now.items():
        _store(f, job_id, kind, like=like)
    return now


@forgery
def two_jobs_files_swapped_with_their_records(f: Forger) -> Iterable[str]:
    return _files_swapped(f, f.random.choice(KINDS))


def _swapped_in_every_book(f: Forger, kind: str) -> dict[str, Row]:
    """The same, and histories and the vendor's ledger agree."""
    now = _files_swapped(f, kind)
    for job_id, like in now.items():
        _brought(f, job_id, kind, like=like)
        f.set(raw.LEDGERS[kind], of=job_id, **_made(like))
    return now


@forgery
def two_jobs_films_swapped_in_every_book(f: Forger) -> Iterable[str]:
    return _swapped_in_every_book(f, "video")


@forgery
def two_jobs_pictures_swapped_in_every_book(f: Forger) -> Iterable[str]:
    now = _swapped_in_every_book(f, "image")
    for job_id, like in now.items():
        f.set(raw.LEDGERS["video"], of=job_id, **_made(like, "source_"))
    return now


def _swap(f: Forger, name: str, *keys: str) -> Iterable[str]:
    """The rows of two jobs say of each what is so of the other."""
    said = {job_in(row): {key: row[key] for key in keys} for row in f.rows(name)}
    one, other = f.pair()
    f.set(name, of=one, **said[other])
    f.set(name, of=other, **said[one])
    return one, other


@forgery
def no_videos_decode(f: Forger) -> Iterable[str]:
    f.put(raw.FILES, [row for row in f.rows(raw.FILES) if row["kind"] == "image"])
    return f.order[:1]


forgeries(
    {
        "a job that never ran": lambda f: _versions(
            f, lambda all_: [each | {"status": "queued"} for each in all_[:-1]] + all_[-1:]
        ),
        "a record of another version than its last change": lambda f: _in_both(f, version=9),
        "a record that begins at version 3": lambda f: _versions(f, lambda changes: changes[2:]),
        "a gap in the versions": lambda f: _versions(f, lambda changes: changes[:4] + changes[5:]),
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
        "one file for all jobs": lambda f: _one_file(f, f.random.choice(KINDS))[1],
        "picture and film do not belong together": lambda f: _swap(
            f, raw.LEDGERS["video"], "source_sha256", "source_shows"
        ),
        "a record without files": lambda f: f.set(raw.STATES, "record", assets={}),
        "a record without one file": lambda f: f.set(
            raw.STATES, "record", assets=lambda files: {"image": files["image"]}
        ),
        "a file without a hash": lambda f: f.set(raw.FILES, sha256=None),
        "nobody looked at a file": lambda f: f.drop(raw.FILES, kind=f.random.choice(KINDS)),
        "prompts swapped at a vendor": lambda f: _swap(f, f.ledger(), "prompt"),
        "prompts swapped at the sender": lambda f: _swap(f, raw.SUBMITS, "prompt"),
    }
)


@forgery
def a_picture_that_is_its_vendors_own_file(f: Forger) -> Iterable[str]:
    [row, *_] = [row for row in f.rows(raw.FILES) if row["kind"] == "image"]
    f.set(raw.LEDGERS["video"], of=row["job_id"], source_sha256=row["sha256"])
    return f.set(raw.LEDGERS["image"], of=row["job_id"], sha256=row["sha256"])
