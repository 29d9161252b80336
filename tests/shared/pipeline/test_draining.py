"""Clean-up: until nothing of a job runs, and no submit of its can still be on its way."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from temporalio.service import RPCError, RPCStatusCode

from shared.errors import NeverDelivered, RefusedForGood, VendorError
from shared.jobs.genvideo import GENVIDEO
from shared.jobs.messages import Attempts
from shared.jobs.states import Status
from shared.pipeline import draining, heartbeat
from shared.pipeline.vendor import Traits, VendorStatus
from shared.semaphore.messages import Closed, OpenRun
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
    always,
    now,
    running_until,
    until,
)
from tests.shared.pipeline.test_submitting import ORDER


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Scene:
    clock = Clock()
    for module in (draining, heartbeat):
        monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(draining, "asyncio", clock)
    return Scene(clock, tmp_path)


def begun(attempts: Attempts) -> Attempts:
    return {stage: count for stage, count in attempts.items() if count}


UNASKED = Traits(looked_up=False)
SUCCEEDED, FAILED, GONE = always(now("succeeded")), always(now("failed")), always(None)
REFUSED = dict.fromkeys(
    ["v", *(f"{JOB}.video.{n}" for n in range(1, 5))], always(RefusedForGood(""))
)
QUEUED: dict[str, Any] = {"status": Status.QUEUED}
IN_IMAGE: dict[str, Any] = {
    "status": Status.RUNNING,
    "step": "image",
    "attempts": GENVIDEO.attempts() | {"image": 1},
}
IN_VIDEO: dict[str, Any] = IN_IMAGE | {"step": "video", "attempts": Attempts(image=1, video=1)}
SURE: dict[str, Any] = {"in_doubt": False}
HELD: dict[str, Any] = {"hold": 3}
DELETED: dict[str, Any] = {"closed": Closed.UNKNOWN, "hold": 3}
# The record, what the vendors say of each generation, how it is drained, and for how long.
WAITS: dict[str, tuple[Mapping[str, Any] | None, Mapping[str, News], Mapping[str, Any], float]] = {
    "in doubt": (None, {}, {}, ACCEPT),
    "without doubt": (None, {}, SURE, 0),
    "the latest generation is known": (IN_IMAGE, {IMAGE: SUCCEEDED}, {}, 0),
    # The image is done; the video's submit may be on its way.
    "an earlier one is": (
        IN_VIDEO,
        {IMAGE: SUCCEEDED, VIDEO: until(10, None, running_until(90))},
        {},
        90,
    ),
    "vendor is away": (IN_IMAGE, {IMAGE: until(200, NeverDelivered("refused"), FAILED)}, SURE, 200),
    # Known to it before, or accepted by the record: it is waited for as a job would.
    "missing for a moment": (
        IN_VIDEO,
        {VIDEO: until(5, now("running"), until(50, None, running_until(90)))},
        SURE,
        90,
    ),
    "missing at first": (
        IN_VIDEO | {"tasks": {VIDEO: "v-1"}},
        {VIDEO: until(50, None, running_until(90))},
        SURE,
        90,
    ),
    "missing for long": (None, {VIDEO: until(5, now("running"), GONE)}, SURE, 5 + LOST),
    "runs for ever": (None, {VIDEO: always(now("running"))}, HELD, BOUND + 3),
    # A killed job's last try is waited for.
    "held": (None, {IMAGE: until(2, None, SUCCEEDED)}, SURE | HELD, 3),
    # What an earlier run of the semaphore has waited counts.
    "begun just now": (None, {}, HELD | {"ago": 0}, 3 + ACCEPT),
    "begun before": (None, {}, HELD | {"ago": 10}, ACCEPT - 7),
    "begun long ago": (None, {}, HELD | {"ago": 3 + ACCEPT}, 0),
    # As with a wrong key; no job behind this one would have to wait for it.
    "questions are refused": (IN_VIDEO, REFUSED, SURE, 0),
    "so they are, in doubt": (IN_VIDEO, REFUSED, {}, BOUND),
    "so they are, accepted": (IN_VIDEO | {"tasks": {VIDEO: "v"}}, REFUSED, SURE, BOUND),
    # The waiters behind it would stand still for all of its ACCEPT_SECONDS.
    "deleted waiter": (QUEUED, {}, DELETED, 3),
    "deleted waiter, another run": (QUEUED | {"run_id": "another"}, {}, DELETED, ACCEPT + 3),
    "deleted at work": (IN_IMAGE, {}, DELETED, ACCEPT + 3),
    "deleted without a record": (None, {}, DELETED, ACCEPT + 3),
}


@pytest.mark.parametrize(("record", "news", "how", "takes"), WAITS.values(), ids=list(WAITS))
async def test_drain_lasts_as_long_as_something_may_run(
    scene: Scene,
    record: Mapping[str, Any] | None,
    news: Mapping[str, News],
    *,
    how: Mapping[str, Any],
    takes: float,
) -> None:
    if record is not None:
        scene.record(**record)
    for vendor in (scene.images, scene.videos):
        vendor.news = dict(news)
    await scene.drain(**how)
    assert scene.clock.passed == pytest.approx(takes, abs=5)


async def test_drain_says_why_a_vendor_can_not_be_asked(scene: Scene) -> None:
    scene.record(**IN_VIDEO)
    scene.videos.news = {VIDEO: until(10, RefusedForGood("the key is wrong"), SUCCEEDED)}
    with capture_logs() as lines:
        await scene.drain(in_doubt=True)

    said = {line["reason"] for line in lines if line.get("generation") == VIDEO}
    assert said == {"the key is wrong"}


@pytest.mark.parametrize("ahead", [-2 * ACCEPT, 2 * ACCEPT])
async def test_drain_follows_the_servers_clock(scene: Scene, ahead: float) -> None:
    scene.clock.ahead = ahead
    assert begun((await scene.drain()).attempts) == {}
    assert scene.clock.passed == pytest.approx(ACCEPT, abs=3)


@pytest.mark.parametrize(
    ("record", "how", "takes"),
    [(IN_VIDEO, HELD, BOUND + 3), (IN_VIDEO, SURE, 0), (IN_IMAGE, {}, ACCEPT)],
    ids=["in doubt", "without doubt", "another vendor is in doubt"],
)
async def test_vendor_without_a_look_up_is_waited_for_the_whole_bound(
    scene: Scene, record: dict[str, Any], how: dict[str, Any], takes: float
) -> None:
    scene.videos.traits = UNASKED
    scene.record(**record)
    await scene.drain(**how)
    assert scene.clock.passed == pytest.approx(takes, abs=3)


@pytest.fixture
def ahead(scene: Scene) -> Scene:
    """A run has begun its video's submit; its record knows only of the image, which is over."""
    scene.record(**IN_IMAGE)
    orders = {"gen_image": ("image", 1), "request_video": ("video", 1)}
    for name, (step, attempt) in orders.items():
        order = ORDER.model_copy(update={"step": step, "attempt": attempt})
        scene.latest.begun.append((name, order))
    scene.images.news[IMAGE] = FAILED
    return scene


async def test_attempt_in_the_history_but_not_in_the_record_is_in_doubt(ahead: Scene) -> None:
    ahead.videos.news[VIDEO] = until(20, None, running_until(90))
    assert begun((await ahead.drain()).attempts) == {"image": 1, "video": 1}
    assert ahead.clock.passed == pytest.approx(90, abs=3)
    assert begun(ahead.recorded.attempts) == {"image": 1, "video": 1}
    assert ahead.recorded.tasks == {IMAGE: "v-failed", VIDEO: "v-succeeded"}


@pytest.mark.parametrize("error", [RPCError("", RPCStatusCode.NOT_FOUND, b""), ValueError()])
async def test_unreadable_history_falls_back_to_the_record(ahead: Scene, error: Exception) -> None:
    ahead.latest.begun.clear()
    ahead.latest.broken = error
    await ahead.drain()
    assert ahead.clock.passed == 0


# The record


async def test_record_closed_from_outside_gets_the_accepted_generation(scene: Scene) -> None:
    scene.record(**QUEUED)
    scene.images.news[IMAGE] = running_until(5)
    await scene.drain()
    assert scene.ended == (Status.FAILED, "terminated")
    assert begun(scene.recorded.attempts) == {"image": 1}
    assert [each.version for each in scene.recorded.transitions[-2:]] == [2, 3]
    assert scene.recorded.version == 3


async def test_record_of_another_run_is_only_completed(scene: Scene) -> None:
    scene.record(**QUEUED, run_id="run-2")
    scene.images.news[IMAGE] = running_until(5)
    await scene.drain()
    completed = scene.recorded
    assert (completed.run_id, completed.status) == ("run-2", Status.QUEUED)
    assert begun(completed.attempts) == {"image": 1}
    await scene.drain()
    assert scene.recorded == completed


async def test_record_of_a_forgotten_job_ends_after_its_generations_with_their_cost(
    scene: Scene,
) -> None:
    """Until then it is open, and names what a semaphore that comes back must clear."""
    scene.record(**IN_IMAGE)
    open_at = []

    def news(passed: float) -> VendorStatus | VendorError | None:
        open_at.append((passed, not scene.recorded.status.ended))
        return running_until(20)(passed)

    scene.images.news[IMAGE] = news
    await scene.drain(closed=Closed.UNKNOWN)
    assert open_at[-1][0] >= 20
    assert all(is_open for passed, is_open in open_at if passed < 20)
    assert scene.ended == (Status.FAILED, "forgotten")
    assert begun(scene.recorded.attempts) == {"image": 1}


async def test_other_workflow_has_nothing_at_our_vendors(scene: Scene) -> None:
    """Its activities are given the time to notice that it has closed, and no more."""
    kept = await scene.drain(job_id="their-workflow", hold=3)
    assert (kept.attempts, kept.cleared, scene.clock.passed) == (GENVIDEO.attempts(), True, 3)
    assert scene.images.asked == 0


async def test_job_of_another_namespace_is_left_alone(scene: Scene) -> None:
    """It was started again here by its id."""
    scene.record(**IN_IMAGE, namespace="another")
    before = scene.recorded
    scene.images.news[IMAGE] = running_until(5)
    kept = await scene.drain(closed=Closed.UNKNOWN)
    assert (kept.attempts, scene.images.asked) == (GENVIDEO.attempts(), 0)
    assert scene.recorded == before


@pytest.mark.parametrize(
    ("fields", "is_found"),
    [
        (IN_IMAGE, True),
        (QUEUED, False),
        ({"status": Status.SUCCEEDED}, False),
        ({"status": Status.RUNNING, "namespace": "another"}, False),
    ],
    ids=["running", "queued", "ended", "of another namespace"],
)
async def test_open_records_are_holders_for_a_semaphore_without_history(
    scene: Scene, fields: dict[str, Any], is_found: bool
) -> None:
    scene.record(**fields)
    expected = OpenRun(job_id=JOB, run_id="run", pipeline="genvideo", step="image")
    assert (await scene.open_records()).runs == ((expected,) if is_found else ())
