"""What a store promises, held by the folder and by a bucket alike."""

import fcntl
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from shared.files import write_atomic
from shared.jobs.closing import close_record
from shared.jobs.genvideo import IMAGE
from shared.jobs.ids import assets_prefix, new_job_id
from shared.jobs.states import Status
from shared.store import folder
from shared.store.assets import Assets
from shared.store.chosen import probe
from shared.store.folder import Folder
from shared.store.protocol import Store, StoreAway
from shared.store.records import Records
from tests.fixtures.present import present
from tests.fixtures.records import RecordStore
from tests.shared.standins import sample_record
from tests.shared.store.conftest import objects_at

KEY = "state/jobs/a.json"


def test_conditional_writes_let_one_of_two_writers_win(store: Store) -> None:
    assert store.read(KEY) is None
    assert store.put_if_absent(KEY, b"old")
    assert not store.put_if_absent(KEY, b"another")
    held = present(store.read(KEY))
    assert held.data == b"old"
    assert store.swap(KEY, b"new", held.tag)
    assert not store.swap(KEY, b"another", held.tag)
    assert store.range(KEY, 0, 3) == b"new"
    now = present(store.read(KEY))
    store.remove(KEY)
    assert not store.swap(KEY, b"again", now.tag)
    assert store.read(KEY) is None
    store.remove(KEY)


def test_range_is_read_and_a_folder_listed(store: Store) -> None:
    for name in ("b/1", "b/22", "c/3"):
        store.put_if_absent(name, name.encode())
    assert store.range("b/22", 1, 3) == b"/2"
    assert {each.key: each.size for each in store.list("b/")} == {"b/1": 3, "b/22": 4}
    assert list(store.list("nothing/")) == []
    with pytest.raises(FileNotFoundError):
        store.range("b/4", 0, 1)
    store.remove_below("b/")
    assert list(store.list("b/")) == []
    assert store.read("c/3") is not None


def test_record_is_never_made_older(store: Store) -> None:
    records, record = Records(store), sample_record(new_job_id())
    later = close_record(record, "terminated")
    assert records.write(record)
    assert records.write(later)
    assert not records.write(record)
    assert not records.write(close_record(record, "timed_out"))
    assert records.read(record.job_id) == later
    assert list(records.job_ids()) == [record.job_id]
    records.remove(record.job_id)
    assert records.read(record.job_id) is None


def linked(path: Path) -> None:
    other = path.parent / "another"
    other.write_text(sample_record(new_job_id()).model_dump_json())
    path.symlink_to(other)


def huge(path: Path) -> None:
    path.touch()
    os.truncate(path, folder.LARGEST + 1)


@pytest.mark.parametrize(
    "made",
    [os.mkfifo, linked, huge, lambda path: path.symlink_to(path)],
    ids=["a pipe", "a link", "a large one", "a circle"],
)
def test_foreign_file_is_a_damaged_record_and_replaced(
    tmp_path: Path, made: Callable[[Path], None]
) -> None:
    records, record = RecordStore(tmp_path), sample_record(new_job_id())
    path = records.path(record.job_id)
    path.parent.mkdir(parents=True)
    made(path)
    assert present(records.raw(record.job_id)).data == b""
    assert records.raw(record.job_id) is not None
    assert records.read(record.job_id) is None
    assert records.write(record)
    assert records.read(record.job_id) == record


@pytest.mark.parametrize("made", [os.mkfifo, linked], ids=["a pipe", "a link"])
def test_foreign_file_is_no_result(tmp_path: Path, made: Callable[[Path], None]) -> None:
    store, job_id = folder.Folder(tmp_path), new_job_id()
    key = f"assets/{job_id}/image.png"
    (tmp_path / key).parent.mkdir(parents=True)
    made(tmp_path / key)
    assert Assets(store).find(job_id, "image") is None
    with pytest.raises(OSError, match=r"no file|symbolic links"):
        store.range(key, 0, 1)


def test_linked_folder_is_not_followed(tmp_path: Path) -> None:
    """Neither a reader nor a writer; an operator may have moved `assets` itself to another disk."""
    elsewhere, disk = tmp_path / "elsewhere", tmp_path / "disk"
    for each in (elsewhere, disk):
        each.mkdir()
    (elsewhere / "image.png").write_bytes(b"of somebody")
    (tmp_path / "assets").symlink_to(disk)
    store, (job_id, good) = folder.Folder(tmp_path), (new_job_id(), new_job_id())
    (disk / job_id).symlink_to(elsewhere)
    key = f"assets/{job_id}/image.png"
    assert (store.read(key), Assets(store).find(job_id, "image")) == (None, None)
    assert not store.swap(key, b"ours", "a tag")
    store.remove(key)
    part = tmp_path / "part"
    part.write_bytes(b"ours")
    for write in (
        lambda: store.range(key, 0, 1),
        lambda: store.put(key, b"ours"),
        lambda: store.put_if_absent(f"{key}.new", b"ours"),
        lambda: store.keep(key, part),
    ):
        with pytest.raises(NotADirectoryError):
            write()
    store.remove_below(assets_prefix(job_id))
    assert not (disk / job_id).is_symlink()
    assert [(each.name, each.read_bytes()) for each in elsewhere.iterdir()] == [
        ("image.png", b"of somebody")
    ]
    Assets(store).keep(part, good, IMAGE, digest="a" * 64)
    assert (disk / good / "image.png").read_bytes() == b"ours"


class Overtaken:
    """A store in which somebody else writes between a look and the write that follows."""

    def __init__(self, store: Store, records: Records) -> None:
        self._store = store
        self._records = records
        self.meanwhile = [close_record(sample_record(JOB_ID), "terminated")]

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    def read(self, key: str) -> object:
        held = self._store.read(key)
        if self.meanwhile:
            self._records.write(self.meanwhile.pop())
        return held


JOB_ID = new_job_id()


@pytest.mark.parametrize("there", [False, True])
def test_higher_version_of_two_writers_wins(store: Store, there: bool) -> None:
    records = Records(store)
    if there:
        records.write(sample_record(JOB_ID))
    slow = Records(Overtaken(store, records))  # type: ignore[arg-type]
    second = sample_record(JOB_ID).model_copy(update={"version": 2, "percent": 9})
    ahead = close_record(sample_record(JOB_ID), "terminated").version
    assert not slow.write(second.model_copy(update={"version": ahead}))
    found = present(records.read(JOB_ID))
    assert (found.version, found.status) == (ahead, Status.FAILED)


def test_stage_has_the_file_stored_last(store: Store, tmp_path: Path) -> None:
    """In a folder the file itself: a concurrent reader gets the old one or the new one."""
    assets, job_id = Assets(store), new_job_id()
    assert assets.find(job_id, "image") is None
    for size, digest in ((3, "a" * 64), (4, "b" * 64)):
        file = tmp_path / "part"
        file.write_bytes(bytes(size))
        number = file.stat().st_ino
        assets.keep(file, job_id, IMAGE, digest=digest)
        if isinstance(store, Folder):
            path = store.root / f"assets/{job_id}/image.png"
            assert path.stat().st_ino == number
        assert not file.exists()
        assert present(assets.find(job_id, "image")).size == size
    with pytest.raises(FileNotFoundError):
        assets.keep(tmp_path / "gone", job_id, IMAGE, digest="c" * 64)
    assert len(list(store.list(f"assets/{job_id}/"))) == 1
    assert assets.find(job_id, "video") is None
    store.remove_below(assets_prefix(job_id))
    assert assets.find(job_id, "image") is None


def test_newer_of_two_files_is_shown(tmp_path: Path) -> None:
    """As after a worker that was killed before it had removed the other one."""
    store, job_id = folder.Folder(tmp_path), new_job_id()
    keys = [f"assets/{job_id}/image-{digest * 64}.png" for digest in "abc"]
    for key, at in zip(keys, (1000, 3000, 2000), strict=True):
        store.put(key, b"picture")
        os.utime(tmp_path / key, (at, at))
    assert present(Assets(store).find(job_id, "image")).key == keys[1]


def test_unreachable_store_is_a_temporary_error() -> None:
    store = objects_at("http://127.0.0.1:9")
    for call in (
        lambda: store.read(KEY),
        lambda: store.put_if_absent(KEY, b""),
        lambda: store.swap(KEY, b"", " tag"),
        lambda: list(store.list("a/")),
        lambda: store.range(KEY, 0, 1),
        lambda: probe(store),
        lambda: Records(store).read(JOB_ID),
    ):
        with pytest.raises(StoreAway, match="does not answer"):
            call()


def test_second_of_two_simultaneous_replacements_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one stands still between its look and its write, and the other one comes along."""
    store = Folder(tmp_path)
    store.put_if_absent(KEY, b"old")
    held = present(store.read(KEY))
    asked, within, go_on = threading.Semaphore(0), threading.Event(), threading.Event()
    lock, write = fcntl.flock, write_atomic

    def locking(handle: int, how: int) -> None:
        asked.release()
        lock(handle, how)

    def slowly(path: Path, data: bytes) -> None:
        within.set()
        if data == b"first":
            go_on.wait(60)
        write(path, data)

    monkeypatch.setattr(fcntl, "flock", locking)
    monkeypatch.setattr(folder, "write_atomic", slowly)
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(store.swap, KEY, b"first", held.tag)
        assert within.wait(60)
        second = threads.submit(store.swap, KEY, b"second", held.tag)
        _until_it_waits_or_is_done(asked, second)
        go_on.set()
    assert (first.result(), second.result()) == (True, False)
    assert store.range(KEY, 0, 9) == b"first"


def _until_it_waits_or_is_done(asked: threading.Semaphore, second: Future[bool]) -> None:
    """Both have asked for the lock, or the other one needs none."""
    second.add_done_callback(lambda _: asked.release(2))
    assert all(asked.acquire(timeout=60) for _ in range(2))


def test_first_of_two_simultaneous_creations_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Folder(tmp_path)
    link = os.link

    def overtaken(partial: Path, path: Path) -> None:
        monkeypatch.setattr(os, "link", link)
        assert store.put_if_absent(KEY, b"first")
        link(partial, path)

    monkeypatch.setattr(os, "link", overtaken)
    assert not store.put_if_absent(KEY, b"second")
    assert store.range(KEY, 0, 9) == b"first"
    assert [each.name for each in (tmp_path / KEY).parent.iterdir()] == ["a.json"]
