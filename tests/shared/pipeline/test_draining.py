"""Clean-up: until nothing of a job runs, and no submit of its can still be on its way."""

from pathlib import Path
from typing import Any

import pytest
from temporalio.service import RPCError, RPCStatusCode

from shared.errors import NeverDelivered, RefusedForGood
from shared.jobs.genvideo import GENVIDEO
from shared.jobs.messages import Attempts, Record
from shared.jobs.states import Status
from shared.pipeline import draining, heartbeat
from shared.pipeline.vendor import Traits
from shared.semaphore.messages import Closed, OpenRun
from shared.store.records import Records
from tests.shared.pipeline.clock import Clock
from tests.shared.pipeline.drained import (
    ACCEPT,
    BOUND,
    IMAGE,
    JOB,
    LOST,
    VIDEO,
    News,
    Scene,
    now,
    running_until,
)
from tests.shared.pipeline.test_submitting import ORDER


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Scene:
    clock = Clock()
    for module in (draining, heartbeat):
        monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(draining, "asyncio", clock)
    return Scene(clock, tmp_path)


RUNNING = {
    "status": Status.RUNNING,
    "step": "image",
    "attempts": GENVIDEO.attempts() | {"image": 1},
}


def begun(attempts: Attempts) -> Attempts:
    return {stage: count for stage, count in attempts.items() if count}


async def test_submit_in_doubt_is_looked_for_until_it_must_have_arrived(
    scene: Scene,
) -> None:
    assert begun((await scene.drain()).attempts) == {}
    assert scene.clock.passed == pytest.approx(ACCEPT, abs=3)


@pytest.mark.parametrize("ahead", [-2 * ACCEPT, 2 * ACCEPT])
async def test_drain_follows_the_servers_clock(scene: Scene, ahead: float) -> None:
    scene.clock.ahead = ahead
    await scene.drain()
    assert scene.clock.passed == pytest.approx(ACCEPT, abs=3)


async def test_without_doubt_one_look_is_enough(scene: Scene) -> None:
    await scene.drain(in_doubt=False)
    assert scene.clock.passed == 0


async def test_late_generation_is_cancelled_and_waited_for(scene: Scene) -> None:
    scene.images.news[IMAGE] = lambda passed: (
        None if passed < 20 else now("running") if not scene.images.cancelled else now("failed")
    )
    assert begun((await scene.drain()).attempts) == {"image": 1}
    assert scene.images.cancelled == ["v-running"]
    assert 20 <= scene.clock.passed < ACCEPT


async def test_known_latest_generation_ends_the_doubt(scene: Scene) -> None:
    scene.record(**RUNNING)
    scene.images.news[IMAGE] = lambda passed: now("succeeded")
    await scene.drain()
    assert scene.clock.passed == 0


async def test_earlier_generation_does_not_end_the_doubt(scene: Scene) -> None:
    """The image is done; the video's submit may be on its way."""
    scene.record(status=Status.RUNNING, step="video", attempts=Attempts(image=1, video=1))
    scene.images.news[IMAGE] = lambda passed: now("succeeded")
    scene.videos.news[VIDEO] = lambda passed: None if passed < 10 else running_until(90)(passed)
    assert begun((await scene.drain()).attempts) == {"image": 1, "video": 1}
    assert scene.clock.passed == pytest.approx(90, abs=3)


async def test_jobs_own_clean_up_gets_the_vendors_ids(scene: Scene) -> None:
    scene.images.news[IMAGE] = lambda passed: now("failed")
    assert (await scene.drain(closed=None)).tasks == {IMAGE: "v-failed"}


@pytest.fixture
def ahead(scene: Scene) -> Scene:
    """A run has begun its video's submit; its record knows only of the image, which is over."""
    scene.record(**RUNNING)
    orders = {"gen_image": ("image", 1), "request_video": ("video", 1)}
    for name, (step, attempt) in orders.items():
        order = ORDER.model_copy(update={"step": step, "attempt": attempt})
        scene.latest.begun.append((name, order))
    scene.images.news[IMAGE] = lambda passed: now("failed")
    return scene


async def test_attempt_in_the_history_but_not_in_the_record_is_in_doubt(ahead: Scene) -> None:
    ahead.videos.news[VIDEO] = lambda passed: None if passed < 20 else running_until(90)(passed)
    assert begun((await ahead.drain()).attempts) == {"image": 1, "video": 1}
    assert ahead.clock.passed == pytest.approx(90, abs=3)
    assert begun(ahead.recorded.attempts) == {"image": 1, "video": 1}
    assert ahead.recorded.tasks == {IMAGE: "v-failed", VIDEO: "v-succeeded"}


async def test_jobs_own_clean_up_needs_no_history(ahead: Scene) -> None:
    await ahead.drain(closed=None)
    assert ahead.clock.passed == 0


@pytest.mark.parametrize("error", [RPCError("", RPCStatusCode.NOT_FOUND, b""), ValueError()])
async def test_unreadable_history_falls_back_to_the_record(ahead: Scene, error: Exception) -> None:
    ahead.latest.begun.clear()
    ahead.latest.broken = error
    await ahead.drain()
    assert ahead.clock.passed == 0


async def test_unreachable_server_is_asked_again(ahead: Scene) -> None:
    ahead.latest.broken = RPCError("", RPCStatusCode.UNAVAILABLE, b"")
    with pytest.raises(RPCError):
        await ahead.drain()


async def test_unreachable_vendor_counts_as_running(scene: Scene) -> None:
    scene.record(**RUNNING)
    down = NeverDelivered("refused")
    scene.images.news[IMAGE] = lambda passed: down if passed < 200 else now("failed")
    await scene.drain(in_doubt=False)
    assert scene.clock.passed == pytest.approx(200, abs=3)


@pytest.mark.parametrize("recorded", [False, True])
async def test_generation_missing_for_a_moment_may_still_run(scene: Scene, recorded: bool) -> None:
    """Known to it before, or accepted by the record: it is waited for as a job would."""
    scene.record(
        status=Status.RUNNING,
        step="video",
        attempts=Attempts(image=1, video=1),
        tasks={VIDEO: "v-1"} if recorded else {},
    )
    begins = 0 if recorded else 5
    scene.videos.news[VIDEO] = lambda passed: (
        None if begins <= passed < 50 else running_until(90)(passed)
    )
    await scene.drain(in_doubt=False)
    assert scene.clock.passed == pytest.approx(90, abs=3)


async def test_generation_missing_for_long_is_lost(scene: Scene) -> None:
    scene.videos.news[VIDEO] = lambda passed: now("running") if passed < 5 else None
    await scene.drain(in_doubt=False)
    assert scene.clock.passed == pytest.approx(5 + LOST, abs=5)


async def test_endless_generation_is_given_up_at_the_bound(scene: Scene) -> None:
    scene.videos.news[VIDEO] = lambda passed: now("running")
    await scene.drain(hold=3)
    assert scene.clock.passed == pytest.approx(BOUND + 3, abs=3)


@pytest.mark.parametrize(("ago", "takes"), [(0, 3 + ACCEPT), (10, ACCEPT - 7), (3 + ACCEPT, 0)])
async def test_waiting_time_of_an_earlier_semaphore_run_counts(
    scene: Scene, ago: float, takes: float
) -> None:
    await scene.drain(hold=3, ago=ago)
    assert scene.clock.passed == pytest.approx(takes, abs=3)


IN_VIDEO = {"status": Status.RUNNING, "step": "video", "attempts": Attempts(image=1, video=1)}
UNASKED = Traits(looked_up=False)


async def test_doubt_without_a_look_up_lasts_for_the_whole_bound(scene: Scene) -> None:
    scene.videos.traits = UNASKED
    scene.record(**IN_VIDEO)
    await scene.drain(hold=3)
    assert scene.clock.passed == pytest.approx(BOUND + 3, abs=3)


async def test_no_doubt_without_a_look_up_ends_at_once(scene: Scene) -> None:
    scene.videos.traits = UNASKED
    scene.record(**IN_VIDEO)
    await scene.drain(in_doubt=False)
    assert scene.clock.passed == 0


async def test_doubt_with_a_look_up_ends_at_once(scene: Scene) -> None:
    scene.videos.traits = UNASKED
    scene.record(**RUNNING)
    await scene.drain()
    assert scene.clock.passed == pytest.approx(ACCEPT, abs=3)


@pytest.mark.parametrize(("traits", "asked"), [(Traits(), VIDEO), (UNASKED, "v-1")])
async def test_vendor_is_asked_by_our_id_or_by_its_own(
    scene: Scene, traits: Traits, asked: str
) -> None:
    scene.videos.traits = traits
    scene.record(**IN_VIDEO, tasks={VIDEO: "v-1"})
    scene.videos.news[asked] = running_until(90)
    assert begun((await scene.drain()).attempts) == {"video": 1}
    assert scene.clock.passed == pytest.approx(90, abs=3)


@pytest.mark.parametrize(
    ("in_doubt", "tasks", "held"), [(False, {}, 0), (True, {}, BOUND), (False, {VIDEO: "v"}, BOUND)]
)
async def test_vendor_that_refuses_questions_holds_only_what_is_in_doubt(
    scene: Scene, in_doubt: bool, tasks: dict[str, str], held: float
) -> None:
    """As with a wrong key; no job behind this one would have to wait for it."""
    scene.record(**IN_VIDEO, tasks=tasks)
    for asked in ("v", *(f"{JOB}.video.{number}" for number in range(1, 5))):
        scene.videos.news[asked] = lambda passed: RefusedForGood("wrong key")
    await scene.drain(in_doubt=in_doubt)
    assert scene.clock.passed == pytest.approx(held, abs=3)


async def test_last_try_of_a_killed_job_is_waited_for(
    scene: Scene,
) -> None:
    scene.images.news[IMAGE] = lambda passed: None if passed < 2 else now("succeeded")
    assert begun((await scene.drain(in_doubt=False, hold=3)).attempts) == {"image": 1}
    assert scene.clock.passed == 3


async def test_record_closed_from_outside_gets_the_accepted_generation(
    scene: Scene,
) -> None:
    scene.record(status=Status.QUEUED)
    scene.images.news[IMAGE] = running_until(5)
    await scene.drain()
    record = scene.recorded
    assert (record.status, record.error and record.error.code) == (Status.FAILED, "terminated")
    assert begun(record.attempts) == {"image": 1}
    assert [each.version for each in record.transitions[-2:]] == [2, 3]
    assert record.version == 3


async def test_known_generation_is_not_added_twice(scene: Scene) -> None:
    scene.record(**RUNNING)
    scene.images.news[IMAGE] = running_until(5)
    await scene.drain()
    assert scene.recorded.version == 2


async def test_record_of_another_run_is_not_closed(scene: Scene) -> None:
    scene.record(**RUNNING | {"run_id": "run-2"})
    before = scene.recorded
    scene.images.news[IMAGE] = running_until(5)
    await scene.drain()
    assert scene.recorded == before
    assert scene.clock.passed == pytest.approx(5, abs=3)


async def test_record_of_another_run_gets_the_accepted_generation(scene: Scene) -> None:
    scene.record(status=Status.QUEUED, run_id="run-2")
    scene.images.news[IMAGE] = running_until(5)
    await scene.drain()
    record = scene.recorded
    assert (record.run_id, record.status) == ("run-2", Status.QUEUED)
    assert begun(record.attempts) == {"image": 1}


async def test_accepted_generation_is_added_after_a_concurrent_write(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.record(status=Status.QUEUED, run_id="run-2")
    scene.images.news[IMAGE] = running_until(5)
    write = Records.write

    def overtaken(records: Records, record: Record) -> bool:
        monkeypatch.setattr(Records, "write", write)
        scene.record(status=Status.QUEUED, run_id="run-2", version=record.version)
        return write(records, record)

    monkeypatch.setattr(Records, "write", overtaken)
    await scene.drain()
    assert (scene.recorded.version, begun(scene.recorded.attempts)) == (3, {"image": 1})


@pytest.mark.parametrize(
    ("latest", "first", "code"),
    [
        ("run", "run", "terminated"),
        ("run-2", "run", "reset_not_supported"),
        ("run-2", "run-2", "terminated"),
    ],
    ids=["terminated", "reset", "started again"],
)
async def test_record_names_how_its_run_was_closed(
    scene: Scene, latest: str, first: str, code: str
) -> None:
    scene.record(**RUNNING)
    scene.latest.run_id, scene.latest.first_run_id = latest, first
    scene.images.news[IMAGE] = lambda passed: now("failed")
    await scene.drain()
    assert scene.recorded.error is not None
    assert scene.recorded.error.code == code


async def test_record_of_a_forgotten_job_ends_after_its_generations_with_their_cost(
    scene: Scene,
) -> None:
    """Until then it is open, and names what a semaphore that comes back must clear."""
    scene.record(**RUNNING)
    open_at = []

    def news(passed: float) -> News:
        open_at.append((passed, not scene.recorded.status.ended))
        return running_until(20)(passed)

    scene.images.news[IMAGE] = news
    await scene.drain(closed=Closed.UNKNOWN)
    assert open_at[-1][0] >= 20
    assert all(is_open for passed, is_open in open_at if passed < 20)
    record = scene.recorded
    assert (record.status, record.error and record.error.code) == (Status.FAILED, "forgotten")
    assert begun(record.attempts) == {"image": 1}


@pytest.mark.parametrize(
    ("fields", "passed"),
    [
        ({"status": Status.QUEUED}, 3),
        ({"status": Status.QUEUED, "run_id": "another"}, ACCEPT),
        (RUNNING, ACCEPT),
        (None, ACCEPT),
    ],
    ids=["queued", "another run's", "running", "no record"],
)
async def test_deleted_waiter_leaves_no_doubt(
    scene: Scene, fields: dict[str, Any] | None, passed: float
) -> None:
    """The waiters behind it would stand still for all of its ACCEPT_SECONDS."""
    if fields is not None:
        scene.record(**fields)
    await scene.drain(closed=Closed.UNKNOWN, hold=3)
    assert passed <= scene.clock.passed < passed + 10


async def test_other_workflow_has_nothing_at_our_vendors(scene: Scene) -> None:
    """Its activities are given the time to notice that it has closed, and no more."""
    kept = await scene.drain(job_id="their-workflow", hold=3)
    assert (kept.attempts, kept.cleared, scene.clock.passed) == (
        GENVIDEO.attempts(),
        True,
        3,
    )
    assert scene.images.asked == 0


@pytest.mark.parametrize(
    ("fields", "is_found"),
    [
        ({"status": Status.RUNNING}, True),
        ({"status": Status.QUEUED}, False),
        ({"status": Status.SUCCEEDED}, False),
        ({"status": Status.RUNNING, "namespace": "another"}, False),
    ],
    ids=["running", "queued", "ended", "of another namespace"],
)
async def test_open_records_are_holders_for_a_semaphore_without_history(
    scene: Scene, fields: dict[str, Any], is_found: bool
) -> None:
    scene.record(**fields)
    expected = OpenRun(job_id=JOB, run_id="run", pipeline="genvideo")
    assert (await scene.open_records()).runs == ((expected,) if is_found else ())
