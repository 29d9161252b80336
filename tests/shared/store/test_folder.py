"""Two that write one key at the very same moment, as processes and their threads do."""

import fcntl
import os
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from shared.files import write_atomic
from shared.store import folder
from shared.store.folder import Folder

KEY = "state/jobs/a.json"


def test_of_two_that_replace_one_at_once_one_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one stands still between its look and its write, and the other one comes along."""
    store = Folder(tmp_path)
    store.put_if_absent(KEY, b"old")
    held = store.read(KEY)
    assert held is not None
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


def test_of_two_that_make_one_at_once_the_first_one_stays(
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
