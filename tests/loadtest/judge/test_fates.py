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


def receipt(
    fate: str, *, status: str = "succeed", task: str = "v", of: str | None = None
) -> Receipt:
    return Receipt(at=1.0, task_id=task, task_status=status, fate=fate, external_id=of)


def judged(
    callbacks: list[Callback], receipts: list[Receipt], *, status: str = "succeeded"
) -> CallbackBook:
    video = dataclasses.replace(made("video", 0, 1), callbacks=tuple(callbacks))
    api = Shown(listed=True, status=status, created=0, started=0, finished=2)
    job = JobFacts("j", 0, api=[api], generations=[video], receipts=receipts)
    return callback_book([job])


SWALLOWED = dataclasses.replace(callback(None, delivery="d2", status="failed"), sent=None)


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
        # A bent one is matched by what it was addressed to.
        (
            [callback(200)],
            [receipt("rejected", status="failed", task="x", of="j.video.1")],
            {"rejected": 1},
        ),
        # What never went out takes no receipt from what tells the same.
        (
            [SWALLOWED, callback(200, status="processing")],
            [receipt("applied", status="failed")],
            {"applied": 1, MADE_GOOD: 1},
        ),
    ],
)
def test_expected_fates(
    callbacks: list[Callback], receipts: list[Receipt], fates: dict[str, int]
) -> None:
    book = judged(callbacks, receipts)

    assert dict(book.fates) == fates
    assert book.sent == book.fates.total()
    assert bool(book.lost) == (GONE in fates)


def test_undelivered_callback_of_an_open_job_is_lost() -> None:
    assert judged([callback(None)], [], status="running").lost


IMAGE, VIDEO = made("image", 0, 1), made("video", 1, 2)
BOTH, ONE = (IMAGE, VIDEO), (IMAGE,)
TOLD = [Receipt(at=2.0, task_id="v", task_status="succeed", fate="applied")]


@pytest.mark.parametrize(
    ("fault", "status", "generations", "expected"),
    [
        ("video.submit.refuse", "succeeded", BOTH, BY_RETRY),
        ("video.start.fail", "succeeded", BOTH, BY_RETRY),
        ("video.start.slow", "succeeded", BOTH, ABSORBED),
        ("video.poll.reset", "succeeded", BOTH, BY_RETRY),
        ("video.callback.lose", "succeeded", BOTH, BY_POLL),
        ("video.callback.repeat", "succeeded", BOTH, ABSORBED),
        ("video.submit.refuse", "failed", BOTH, SURFACED),
        ("video.submit.refuse", "cancelled", BOTH, SURFACED),
        ("video.submit.refuse", "running", BOTH, UNACCOUNTED),
        ("video.start.fail", "degraded", ONE, DEGRADED),
        ("video.start.fail", "succeeded", ONE, UNACCOUNTED),
        # The job failed later, and its image is good.
        ("image.submit.refuse", "failed", BOTH, BY_RETRY),
        ("video.result.truncate", "succeeded", BOTH, BY_RETRY),
    ],
)
def test_outcome_of_each_fault(
    fault: str, status: str, generations: tuple[Generation, ...], expected: str
) -> None:
    assert outcome(fault, status, generations) == expected


def test_fault_is_harmless_if_a_callback_came_and_the_file_is_whole() -> None:
    assert outcome("video.callback.lose", "succeeded", BOTH, receipts=TOLD) == ABSORBED
    assert outcome("video.result.truncate", "succeeded", BOTH, problem="torn") == UNACCOUNTED


def outcome(
    fault: str,
    status: str,
    generations: tuple[Generation, ...],
    *,
    receipts: list[Receipt] | None = None,
    problem: str | None = None,
) -> str:
    service, where, do = fault.split(".")
    job = JobFacts(
        "j",
        0,
        api=[Shown(listed=True, status=status, created=0, started=0, finished=2)],
        generations=list(generations),
        faults=[Injected(service, "rule", where, do, f"j.{service}.1")],
        receipts=receipts or [],
        files={"video": StoredFile("x", problem)},
    )
    [(_, _, found)] = fault_book([job]).outcomes
    return found
