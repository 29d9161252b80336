"""The ledger: who a request is for, what a bill would show, files and what they show."""

import io

import pytest
from PIL import Image, PngImagePlugin

from loadtest.collect.collector import examine
from services.mock_comfyui.pictures import draw_picture
from services.mock_core.files import FileStore, StoredFile, shown
from services.mock_core.ledger import DeliveryAttempt, JobIndex, Ledger, State, judge
from services.mock_kling.video import make_video
from tests.services.mock_core.makers import make_generation


def test_the_oldest_that_have_ended_are_forgotten() -> None:
    ledger = Ledger(keep=3)
    rows = [make_generation(accepted=float(n)) for n in range(5)]
    for row in rows:
        ledger.add(row)
        row.state = State.SUCCEEDED
        ledger.closed(row)
    assert list(ledger) == rows[2:]
    assert (ledger.accepted, ledger.dropped) == (5, 2)
    assert ledger.find(rows[0].id) is None
    assert ledger.find(rows[0].external_id or "") is None


def test_what_is_open_is_never_forgotten() -> None:
    ledger = Ledger(keep=1)
    rows = [make_generation() for _ in range(3)]
    for row in rows:
        ledger.add(row)
    assert list(ledger) == rows
    assert ledger.in_flight == 3


def test_the_latest_of_one_external_id_is_found() -> None:
    ledger = Ledger(keep=10)
    first, second = (make_generation(external_id="same") for _ in range(2))
    ledger.add(first)
    ledger.add(second)
    assert ledger.find("same") is second
    assert ledger.find(first.id) is first
    assert (first.duplicate, second.duplicate, ledger.duplicates) == (False, True, 1)


def test_what_has_vanished_is_unknown_and_stays_in_the_ledger() -> None:
    ledger = Ledger(keep=10)
    row = make_generation()
    ledger.add(row)
    row.vanished = True
    assert ledger.find(row.id) is None
    assert list(ledger.newest()) == []
    assert list(ledger) == [row]


def test_attempts_of_one_job_share_its_key() -> None:
    book = JobIndex()
    first, attempt = book.find("job-7.image.1", "猫")
    again, second = book.find("job-7.image.2", "猫")
    assert first is again
    assert (attempt, second) == (1, 2)


def test_the_key_comes_from_the_prompt_and_not_from_the_id() -> None:
    one, _ = JobIndex().find("job-1.image.1", "猫")
    other, _ = JobIndex().find("job-2.image.1", "猫")
    assert one.key == other.key


def test_equal_prompts_are_told_apart_by_their_order() -> None:
    book = JobIndex()
    keys = [book.find(f"job-{n}.image.1", "猫")[0].key for n in range(3)]
    assert [key.rpartition("#")[2] for key in keys] == ["1", "2", "3"]


def test_without_a_pattern_in_the_id_attempts_are_counted() -> None:
    book = JobIndex()
    job, attempt = book.find("own-id", "猫")
    job.accepted += 1
    assert (attempt, book.find("own-id", "猫")) == (1, (job, 2))


def _attempt(
    delivery_id: str = "d", reply: int | None = 200, *, bent: bool = False
) -> DeliveryAttempt:
    return DeliveryAttempt(delivery_id, "succeed", bent=bent, sent_at=1.0, reply=reply)


def test_two_charges_of_one_external_id_are_one_too_many() -> None:
    rows = [make_generation(external_id="a", charged=True) for _ in range(2)]
    verdict = judge(rows, fetched_late=())
    assert (verdict["ok"], verdict["charged_twice"]) == (False, ["a"])


def test_charges_of_two_attempts_are_right() -> None:
    rows = [make_generation(external_id=name, charged=True) for name in ("a.1", "a.2")]
    assert judge(rows, fetched_late=())["ok"]


@pytest.mark.parametrize(
    ("attempts", "ok"),
    [
        ([_attempt()], True),
        ([_attempt(reply=503)], False),
        ([_attempt(reply=None)], False),
        ([_attempt(reply=503), _attempt(reply=200)], True),
        ([_attempt(reply=404)], False),
        ([_attempt(reply=404, bent=True)], True),
        ([_attempt(reply=500, bent=True)], False),
        ([DeliveryAttempt("d", "succeed", note="lost")], True),
    ],
)
def test_each_callback_that_was_sent_needs_an_answer(
    attempts: list[DeliveryAttempt], ok: bool
) -> None:
    row = make_generation(delivery_attempts=attempts)
    assert judge([row], fetched_late=())["ok"] is ok


def test_a_fetch_after_expiry_is_told() -> None:
    verdict = judge([], fetched_late={"x.mp4"})
    assert (verdict["ok"], verdict["fetched_after_expiry"]) == (False, ["x.mp4"])


def _file(size: int = 10) -> StoredFile:
    return StoredFile(bytes(size), "image/png", 0.0)


def test_the_oldest_go_for_which_there_is_no_room() -> None:
    store = FileStore(max_bytes=30)
    for name in ("a.png", "b.png", "c.png", "d.png"):
        store.put(name, _file())
    assert store.get("a.png") is None
    assert (store.names(), store.size) == (["b.png", "c.png", "d.png"], 30)


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


PICTURE = draw_picture("一只猫", "", "1", size=(96, 64))
OTHER = draw_picture("一只猫", "", "2", size=(96, 64))
FILM = make_video(PICTURE)


def again(body: bytes, comment: str = "") -> bytes:
    """The same pixels in another file."""
    out, info = io.BytesIO(), PngImagePlugin.PngInfo()
    info.add_text("prompt", comment)
    with Image.open(io.BytesIO(body)) as picture:
        picture.save(out, "PNG", pnginfo=info)
    return out.getvalue()


def test_the_pixels_decide() -> None:
    assert again(PICTURE, "told") != PICTURE
    assert shown(PICTURE) == shown(again(PICTURE, "told")) != shown(OTHER)


def test_the_films_packets_decide() -> None:
    told = FILM.replace(b"udta", b"free")
    assert told != FILM
    assert shown(FILM) == shown(told) != shown(make_video(OTHER))


@pytest.mark.parametrize(
    "body", [b"", b"no picture", PICTURE[:99], b"\0\0\0\x18ftypisom" + bytes(50)]
)
def test_what_shows_nothing_has_no_digest(body: bytes) -> None:
    assert shown(body) is None


@pytest.mark.parametrize(("kind", "body"), [("image", PICTURE), ("video", FILM)])
def test_the_load_test_sees_the_same(kind: str, body: bytes) -> None:
    """It shares no code with the mocks."""
    assert examine("job", kind, body)["shows"] == shown(body)
