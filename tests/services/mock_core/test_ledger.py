"""The ledger: who a request is for, what a bill would show, files and what they show."""

import io

import pytest
from PIL import Image, PngImagePlugin

from loadtest.collect.collector import examine
from loadtest.judge.shown import are_near, drawn_in
from services.mock_comfyui.pictures import draw_picture
from services.mock_core.clock import Clock
from services.mock_core.files import FileStore, shown
from services.mock_core.ledger import DeliveryAttempt, JobIndex, Ledger, State, judge
from services.mock_kling.video import make_video
from tests.services.mock_core.makers import make_generation


def test_only_the_oldest_ended_rows_are_dropped() -> None:
    ledger = Ledger(keep=3)
    rows = [make_generation(accepted=float(n)) for n in range(5)]
    for row in rows:
        ledger.add(row)
    assert list(ledger) == rows
    for row in rows:
        row.state = State.SUCCEEDED
        ledger.closed(row)
    ledger.add(last := make_generation())
    assert list(ledger) == [*rows[3:], last]
    assert (ledger.accepted, ledger.dropped, ledger.in_flight) == (6, 3, 1)
    assert ledger.find(rows[0].id) is ledger.find(rows[0].external_id or "") is None


def test_latest_row_of_an_external_id_is_found() -> None:
    ledger = Ledger(keep=10)
    first, second = (make_generation(external_id="same") for _ in range(2))
    ledger.add(first)
    ledger.add(second)
    assert ledger.find("same") is second
    assert ledger.find(first.id) is first


def test_key_of_a_job_is_its_prompt_and_its_order_among_equal_ones() -> None:
    book = JobIndex()
    first, attempt = book.find("job-7.image.1", "猫")
    again, second = book.find("job-7.image.2", "猫")
    assert (first is again, attempt, second) == (True, 1, 2)
    own, _ = book.find("own-id", "猫")
    own.accepted += 1
    # Without a number in the id, attempts are counted.
    assert book.find("own-id", "猫") == (own, 2)
    assert [job.key.rpartition("#")[2] for job in (first, own)] == ["1", "2"]
    assert JobIndex().find("job-2.image.1", "猫")[0].key == first.key


@pytest.mark.parametrize(
    ("replies", "bent", "ok"),
    [
        ([404], False, False),
        ([None], False, False),
        ([503, 200], False, True),
        ([404], True, True),
        ([500], True, False),
        ([], False, True),
    ],
)
def test_each_callback_needs_an_answer(replies: list[int | None], bent: bool, ok: bool) -> None:
    sent = [
        DeliveryAttempt("d", "succeed", bent=bent, sent_at=1.0, reply=reply) for reply in replies
    ]
    row = make_generation(delivery_attempts=sent or [DeliveryAttempt("d", "succeed", note="lost")])
    assert judge([row], fetched_late=())["ok"] is ok


def test_oldest_files_are_dropped_to_make_room() -> None:
    store = FileStore(30, Clock(1))
    for name in ("a.png", "b.png", "c.mp4", "d.png", "d.png"):
        store.put(name, name.encode() * 2, "image/png")
    assert store.get("a.png") is None
    assert (store.names(), store.size) == (["b.png", "c.mp4", "d.png"], 30)


PICTURE = draw_picture("一只猫", "", "1", size=(96, 64))
OTHER = draw_picture("一只猫", "", "2", size=(96, 64))
FILM = make_video(PICTURE, 2)


def again(body: bytes, comment: str = "") -> bytes:
    out, info = io.BytesIO(), PngImagePlugin.PngInfo()
    info.add_text("prompt", comment)
    with Image.open(io.BytesIO(body)) as picture:
        picture.save(out, "PNG", pnginfo=info)
    return out.getvalue()


def test_picture_digest_depends_on_its_pixels() -> None:
    assert again(PICTURE, "told") != PICTURE
    assert shown(PICTURE) == shown(again(PICTURE, "told")) != shown(OTHER)


def test_video_digest_depends_on_its_packets() -> None:
    told = FILM.replace(b"udta", b"free")
    assert told != FILM
    assert shown(FILM) == shown(told) != shown(make_video(OTHER, 2))


@pytest.mark.parametrize(
    "body", [b"", b"no picture", PICTURE[:99], b"\0\0\0\x18ftypisom" + bytes(50)]
)
def test_unreadable_file_has_no_digest(body: bytes) -> None:
    assert shown(body) is None


@pytest.mark.parametrize(("media", "body"), [("image/png", PICTURE), ("video/mp4", FILM)])
def test_load_test_computes_the_same_digest(media: str, body: bytes) -> None:
    """It shares no code with the mocks."""
    assert examine("job", "a_stage", body, media)["shows"].partition("/")[0] == shown(body)


@pytest.mark.parametrize("size", [(0, 0), (96, 64), (300, 750), (1024, 1024)])
@pytest.mark.parametrize("format_", ["png", "jpeg"])
def test_picture_and_film_show_the_colours_that_the_judge_knows(
    size: tuple[int, int], format_: str
) -> None:
    picture = draw_picture("一只猫", "ink", "7", size=size, format_=format_)

    film = make_video(picture, 5)
    for media, body in ((f"image/{format_}", picture), ("video/mp4", film)):
        colours = examine("job", "a_stage", body, media)["shows"].partition("/")[2]
        assert are_near(colours, drawn_in("一只猫", "ink", "7"))
        assert not are_near(colours, drawn_in("一只猫", "ink", "8"))
