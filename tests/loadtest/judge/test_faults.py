"""Each injected fault is reconciled with what became of its job."""

import pytest

from loadtest.books.facts import ApiJob, Generation, Injected, Receipt, StoredFile
from loadtest.books.model import JobFacts
from loadtest.judge.fates import (
    ABSORBED,
    BY_POLL,
    BY_RETRY,
    DEGRADED,
    SURFACED,
    UNACCOUNTED,
    fault_book,
)
from tests.loadtest.judge.test_schedule import made

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
    fault = Injected(service, "rule", where, do, f"j.{service}.1", "j")
    api = ApiJob(listed=True, status=status, created=0, started=0, finished=2, version=1)
    stored = StoredFile("video", 9, "x", "does not decode" if broken else None)
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
