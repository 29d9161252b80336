"""Finished files are bounded: what was fetched goes first, then the oldest."""

from services.mock_core.ledger.files import FileStore, StoredFile


def _file(size: int = 10) -> StoredFile:
    return StoredFile(bytes(size), "image/png", 0.0)


def test_what_was_fetched_goes_first() -> None:
    store = FileStore(max_bytes=30)
    for name in ("a.png", "b.png", "c.png"):
        store.put(name, _file())
    store.note_fetch("b.png")
    store.put("d.png", _file())
    assert store.get("b.png") is None
    assert store.get("a.png") is not None
    store.put("e.png", _file())
    assert store.get("a.png") is None
    assert store.size == 30


def test_a_file_put_again_counts_once() -> None:
    store = FileStore(max_bytes=100)
    store.put("a.png", _file(10))
    store.put("a.png", _file(20))
    assert store.size == 20


def test_another_file_of_the_same_kind() -> None:
    store = FileStore(max_bytes=100)
    store.put("a.mp4", _file(1))
    store.put("b.png", _file(2))
    assert store.another("a.mp4") is None
    store.put("c.mp4", _file(3))
    assert store.another("a.mp4") == bytes(3)
