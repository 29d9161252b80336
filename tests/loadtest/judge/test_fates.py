"""Each callback and each fault has one fate, and what nothing explains is named."""

import dataclasses

import pytest

from loadtest.books.facts import Callback, Generation, Injected, Receipt, Shown, StoredFile
from loadtest.books.model import JobFacts
from loadtest.judge.fates import (
    ABSORBED,
    AGAIN,
    BY_POLL,
    BY_RETRY,
    DEGRADED,
    GONE,
    MADE_GOOD,
    SURFACED,
    UNACCOUNTED,
    CallbackBook,
    callback_book,
    fault_book,
)
from tests.loadtest.judge.test_pace import made


def callback(reply: int | None, *, delivery: str = "d1", status: str = "succeed") -> Callback:
    return Callback(sent=1.0, status=status, reply=reply, note="", delivery_id=delivery)


def receipt(fate: str, *, status: str = "succeed") -> Receipt:
    return Receipt(at=1.0, task_id="v", task_status=status, fate=fate)


def judged(
    callbacks: list[Callback], receipts: list[Receipt], *, status: str = "succeeded"
) -> CallbackBook:
    video = dataclasses.replace(made("video", 0, 1), callbacks=tuple(callbacks))
    api = Shown(listed=True, status=status, created=0, started=0, finished=2, version=1)
    job = JobFacts("j", 0, api=[api], generations=[video], receipts=receipts)
    return callback_book([job])


@pytest.mark.parametrize(
    ("callbacks", "receipts", "fates"),
    [
        ([callback(200)], [receipt("applied")], {"applied": 1}),
        (
            [callback(200), callback(200)],
            [receipt("applied"), receipt("duplicate")],
            {"applied": 1, "duplicate": 1},
        ),
        ([callback(503), callback(200)], [receipt("applied")], {"applied": 1, AGAIN: 1}),
        ([callback(None)], [], {MADE_GOOD: 1}),
        ([callback(404)], [], {"rejected": 1}),
        ([callback(200)], [], {GONE: 1}),
        ([callback(200)], [receipt("something new")], {"unknown": 1}),
    ],
)  # fmt: skip
def test_fates(callbacks: list[Callback], receipts: list[Receipt], fates: dict[str, int]) -> None:
    book = judged(callbacks, receipts)

    assert dict(book.fates) == fates
    assert book.sent == book.fates.total()
    assert bool(book.lost) == (GONE in fates)


def test_a_bent_callback_is_matched_by_what_it_was_addressed_to() -> None:
    bent = Receipt(
        at=1.0, task_id="x", task_status="failed", fate="rejected", external_id="j.video.1"
    )
    book = judged([callback(200)], [bent])

    assert dict(book.fates) == {"rejected": 1}
    assert book.lost == book.unsent == []


def test_anothers_receipt_does_not_make_good_a_lost_one() -> None:
    other = Receipt(
        at=1.0, task_id="x", task_status="succeed", fate="applied", external_id="k.video.1"
    )
    book = judged([callback(200)], [other])

    assert book.lost
    assert book.unsent


def test_an_undelivered_callback_of_an_open_job_is_lost() -> None:
    assert judged([callback(None)], [], status="running").lost


def test_a_receipt_that_no_vendor_noted_is_named() -> None:
    book = judged([callback(200)], [receipt("applied"), receipt("applied", status="processing")])

    assert [job_id for job_id, _ in book.unsent] == ["j"]
    assert book.sent == book.fates.total()


def test_what_never_went_out_takes_no_receipt_from_what_tells_the_same() -> None:
    swallowed = dataclasses.replace(callback(None, delivery="d2", status="failed"), sent=None)
    bent = callback(200, status="processing")
    book = judged([swallowed, bent], [receipt("applied", status="failed")])

    assert dict(book.fates) == {"applied": 1, MADE_GOOD: 1}
    assert book.lost == []


IMAGE, VIDEO = made("image", 0, 1), made("video", 1, 2)
TOLD = [Receipt(at=2.0, task_id="v", task_status="succeed", fate="applied")]


def outcome(
    where: str,
    do: str,
    status: str,
    *,
    service: str = "video",
    generations: tuple[Generation, ...] = (IMAGE, VIDEO),
    receipts: list[Receipt] | None = None,
    broken: bool = False,
) -> str:
    fault = Injected(service, "rule", where, do, f"j.{service}.1")
    api = Shown(listed=True, status=status, created=0, started=0, finished=2, version=1)
    stored = StoredFile("x", "does not decode" if broken else None)
    job = JobFacts(
        "j",
        0,
        api=[api],
        generations=list(generations),
        faults=[fault],
        receipts=receipts or [],
        files={"video": stored},
    )
    [(_, _, found)] = fault_book([job]).outcomes
    return found


@pytest.mark.parametrize(
    ("where", "do", "status", "expected"),
    [
        ("submit", "refuse", "succeeded", BY_RETRY),
        ("start", "fail", "succeeded", BY_RETRY),
        ("start", "slow", "succeeded", ABSORBED),
        ("poll", "reset", "succeeded", BY_RETRY),
        ("callback", "lose", "succeeded", BY_POLL),
        ("callback", "repeat", "succeeded", ABSORBED),
        ("submit", "refuse", "failed", SURFACED),
        ("submit", "refuse", "cancelled", SURFACED),
        ("submit", "refuse", "running", UNACCOUNTED),
    ],
)
def test_a_fault_and_its_outcome(where: str, do: str, status: str, expected: str) -> None:
    assert outcome(where, do, status) == expected


def test_an_early_callback_makes_a_lost_one_harmless() -> None:
    assert outcome("callback", "lose", "succeeded", receipts=TOLD) == ABSORBED


def test_a_video_that_failed_for_good_degrades_the_job() -> None:
    assert outcome("start", "fail", "degraded", generations=(IMAGE,)) == DEGRADED


def test_success_without_the_stage_is_unaccounted() -> None:
    assert outcome("start", "fail", "succeeded", generations=(IMAGE,)) == UNACCOUNTED


def test_a_broken_file_that_stayed_broken_is_unaccounted() -> None:
    assert outcome("result", "truncate", "succeeded", broken=True) == UNACCOUNTED
    assert outcome("result", "truncate", "succeeded") == BY_RETRY


def test_an_image_fault_of_a_job_that_failed_later_was_recovered() -> None:
    assert outcome("submit", "refuse", "failed", service="image") == BY_RETRY
