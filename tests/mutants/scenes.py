"""What a run does so that a mistake of the product shows: jobs, faults, and what strikes them."""

import asyncio
import contextlib
import json
import signal
from collections.abc import Awaitable, Callable
from typing import Any

from shared.jobs.slots import JOB_GATE
from shared.semaphore.messages import semaphore_id
from tests.chaos import operators
from tests.chaos.schedule import Kind
from tests.fixtures.eventually import eventually
from tests.mutants.mutant import PLAIN
from tests.mutants.site import Json, Scene, Site

Look = Callable[[], Awaitable[bool]]
PATIENCE = 20.0
# A job that does not wait for its vendors is followed by the next one within so long; a vendor that
# is not told to stop works on for longer than the judge allows.
FOLLOW_SECONDS, STOP_SECONDS = 5.0, 8.0
# More than a semaphore has in its history at the most in that scene.
TURN_OVER = 25
# An image takes 0.15 s, so that its overlap is longer than the clocks are uncertain.
BESIDE_SECONDS = 0.1


def fault(where: str, do: str, *, service: str | None = None, **rest: Any) -> Json:
    """A rule of the mocks' language."""
    return {"where": where, "do": do, **rest} | ({"service": service} if service else {})


def endless(service: str) -> Json:
    """The first job's generation goes on until the test lets it end."""
    return fault(
        "start", "slow", service=service, **{"with": {"extra": 10_000}, "match": {"nth": 1}}
    )


def away(service: str, *, times: int) -> Json:
    """The first job's first submits are refused."""
    refused = {"match": {"nth": 1}, "often": {"first": times}, "with": {"status": 503}}
    return fault("submit", "refuse", service=service, **refused)


async def submitted_again(site: Site) -> None:
    """Each submission comes once more, with its key and body, as after a lost answer."""
    count = SCENES["submitted again"].jobs
    jobs = await site.jobs(count)
    [book] = site.settings.reports_dir.glob("*/raw/submits.jsonl")
    keys = {row["prompt"]: row["key"] for row in map(json.loads, book.read_text().splitlines())}
    for job in jobs:
        body = {name: job[name] for name in ("prompt", "style", "tag")}
        headers = {"Idempotency-Key": keys[job["prompt"]]}
        await site.api.post("/jobs", json=body, headers=headers)


async def retried(site: Site) -> None:
    """A job that has succeeded is asked to run again, which is refused."""
    first = (await site.jobs(1))[0]["job_id"]
    await ended(site, first)
    await site.api.post(f"/jobs/{first}/retry")


async def ended(site: Site, job_id: str) -> str:
    """The status in which a job has ended."""

    async def status() -> str:
        return str((await site.api.get(f"/jobs/{job_id}")).json()["status"])

    return await eventually(status, lambda now: now not in ("queued", "running"))


async def _first_under_way(site: Site, step: str) -> str:
    job_id = str((await site.jobs(1))[0]["job_id"])
    await site.generation(step, f"{job_id}.{step}.1", lambda row: bool(row["started_at"]))
    return job_id


async def _never() -> bool:
    return False


async def _settled(
    site: Site, look: Look, *, after: float = 0.0, seconds: float = PATIENCE
) -> None:
    """Return when the product has reacted, or when another job has begun beside the first one.

    A broken build may do neither: it is left alone then after so many seconds. `after`: seconds
    that a reaction is left before the vendor hurries.
    """

    async def reacted() -> bool:
        accepted = (await site.mocks["image"].get("/admin/stats")).json()["accepted"]
        return accepted > 1 or await look()

    with contextlib.suppress(TimeoutError):
        await eventually(reacted, seconds=seconds)
        await asyncio.sleep(after)


def _clearing(site: Site, job_id: str) -> Look:
    """Whether the job waits until its vendors are clear."""

    async def look() -> bool:
        record = (await site.api.get(f"/jobs/{job_id}/record")).json()
        return "until the vendors are clear" in str(record)

    return look


def _draining(site: Site) -> Look:
    async def look() -> bool:
        slots = (await site.api.get("/slots")).json()
        return any(holder["draining"] for holder in slots.get("holders", ()))

    return look


async def cancelled_in_its_image(site: Site) -> None:
    """The first job is cancelled in mid-image, which the vendor can stop."""
    job_id = await _first_under_way(site, "image")
    await site.api.post(f"/jobs/{job_id}/cancel")
    await _settled(site, _clearing(site, job_id), after=STOP_SECONDS)
    await site.hurry("image")


async def cancelled_in_its_video(site: Site) -> None:
    """The first job is cancelled in mid-video, which no vendor stops."""
    job_id = await _first_under_way(site, "video")
    await site.api.post(f"/jobs/{job_id}/cancel")
    await _settled(site, _clearing(site, job_id))
    # A build that does not wait for the vendor begins the next job, whose image is left some time.
    await _settled(site, _never, seconds=FOLLOW_SECONDS, after=BESIDE_SECONDS)
    await site.hurry("video")


async def cancelled_in_doubt(site: Site) -> None:
    """The first job is cancelled while its image's submit may be on its way."""
    job_id = str((await site.jobs(1))[0]["job_id"])

    async def refused() -> bool:
        return bool((await site.mocks["image"].read("/admin/stats"))["faults_injected"])

    await eventually(refused)
    await site.api.post(f"/jobs/{job_id}/cancel")


async def out_of_time(site: Site) -> None:
    """The first job's video takes longer than the job may."""
    job_id = await _first_under_way(site, "video")
    await _settled(site, _clearing(site, job_id))
    await site.hurry("video")


async def terminated(site: Site) -> None:
    """The first job's run is terminated in mid-video."""
    job_id = await _first_under_way(site, "video")
    await site.client.get_workflow_handle(job_id).terminate("on purpose")
    await _settled(site, _draining(site))
    await site.hurry("video")


async def terminated_and_drained_for_long(site: Site) -> None:
    """The first job's run is terminated in mid-video, which goes on for a while."""
    job_id = await _first_under_way(site, "video")
    await site.client.get_workflow_handle(job_id).terminate("on purpose")
    await _settled(site, _never, seconds=STOP_SECONDS)
    await site.hurry("video")


async def terminated_and_turned_over(site: Site) -> None:
    """The first job's run is terminated in mid-video, and the semaphore then turns over."""
    job_id = await _first_under_way(site, "video")
    await site.client.get_workflow_handle(job_id).terminate("on purpose")
    await _settled(site, _draining(site))
    # Each change of the slot is a part of the semaphore's history.
    for _ in range(TURN_OVER):
        await site.api.put("/slots", json={"limit": 1})
    await _settled(site, _never, seconds=FOLLOW_SECONDS, after=BESIDE_SECONDS)
    await site.hurry("video")


async def waiter_terminated(site: Site) -> None:
    """The second job's run is terminated while it waits behind the first image."""
    await _first_under_way(site, "image")
    await _settled(site, _all_others_wait(site, "terminated while it waits"))
    second = str((await site.jobs(2))[1]["job_id"])
    await site.client.get_workflow_handle(second).terminate("on purpose")
    await ended(site, second)
    await _settled(site, _never, seconds=BESIDE_SECONDS)
    await site.hurry("image")


async def semaphore_terminated(site: Site) -> None:
    """The semaphore is terminated while the first image is being made and all others wait."""
    job_id = await _first_under_way(site, "image")
    await _settled(site, _all_others_wait(site, "semaphore terminated"))
    handle = site.client.get_workflow_handle(semaphore_id(JOB_GATE))
    ended = (await handle.describe()).run_id
    await handle.terminate("on purpose")

    async def rebuilt() -> bool:
        if (await handle.describe()).run_id == ended:
            # It still answers queries.
            return False
        slots = (await site.api.get("/slots")).json()
        holders = [holder["job_id"] for holder in slots.get("holders", ())]
        return holders == [job_id] and not slots["rebuilding"] and slots["waiting_count"] > 0

    await _settled(site, rebuilt)
    await site.hurry("image")


async def watch_failed(site: Site) -> None:
    """An operator fails the watch over the first job while its image is being made."""
    await _first_under_way(site, "image")
    semaphore = operators.SEMAPHORE
    assert await operators.act(site.client, Kind.ACTIVITY_FAIL, semaphore, seconds=0.0)
    await site.hurry("image")


async def worker_killed(site: Site) -> None:
    """The worker at work on the first image dies; the other one goes on."""
    job_id = await _first_under_way(site, "image")
    died = await _at_work(site, job_id)
    [worker] = [each for each in site.workers if each.pid == died]
    worker.send_signal(signal.SIGKILL)

    async def taken_over() -> bool:
        return await _at_work(site, job_id) not in (0, died)

    await _settled(site, taken_over)
    await site.hurry("image")


async def _at_work(site: Site, job_id: str) -> int:
    """The process id of the worker that runs the job's activity, or 0."""
    described = await site.client.get_workflow_handle(job_id).describe()
    workers = [each.last_worker_identity for each in described.raw_description.pending_activities]
    return int(workers[0].partition("-")[0] or 0) if workers else 0


async def all_wait(site: Site) -> None:
    """The first image goes on until all others wait, so that their order is certain."""
    await _first_under_way(site, "image")
    await _settled(site, _all_others_wait(site, "queue"))
    await site.hurry("image")


def _all_others_wait(site: Site, scene: str) -> Look:
    async def waiting() -> bool:
        slots = await site.api.read("/slots")
        return len(slots.get("waiting", ())) == SCENES[scene].jobs - 1

    return waiting


# Jobs that are submitted at this rate request the slot in the order of the plan; the first of a new
# semaphore is granted it before the second one asks, which takes up to 0.8 s.
APART = "1"

SCENES: dict[str, Scene] = {
    "plain": PLAIN,
    "quick": Scene(speed=2000),
    "five": Scene(jobs=5, settings={"VIDEO_POLL_SECONDS": "5"}),
    "five at leisure": Scene(jobs=5, speed=20),
    "slow": Scene(jobs=2, speed=30),
    # The second job waits for longer than a semaphore may take to turn over.
    "very slow": Scene(jobs=2, speed=6, stall=40),
    "queue": Scene(jobs=4, faults=(endless("image"),), rate=APART, act=all_wait),
    "priorities": Scene(
        jobs=4, priorities=True, faults=(endless("image"),), rate=APART, act=all_wait
    ),
    "stands still": Scene(jobs=2, stall=3),
    "out of time": Scene(
        jobs=2,
        stall=60,
        faults=(endless("video"),),
        rate=APART,
        settings={"JOB_SECONDS": "4"},
        act=out_of_time,
        ends={"#1": "failed"},
    ),
    "submitted again": Scene(act=submitted_again),
    "retried": Scene(act=retried),
    "callbacks lost": Scene(presets=("lost-callbacks",)),
    "callbacks repeated": Scene(presets=("duplicate-callbacks",)),
    "callbacks forged": Scene(faults=(fault("callback", "token", service="video"),)),
    "first generations fail": Scene(
        jobs=2, faults=(fault("start", "fail", often={"attempts": "1"}),)
    ),
    "videos fail": Scene(
        jobs=2,
        faults=(fault("start", "fail", service="video", match={"nth": 1}),),
    ),
    "videos fail, the image will do": Scene(
        jobs=2,
        faults=(fault("start", "fail", service="video", match={"nth": 1}),),
        on_video_failure="image",
    ),
    "videos go back": Scene(
        jobs=2,
        speed=8,
        stall=60,
        faults=(fault("progress", "backwards", service="video", **{"with": {"polls": 1000}}),),
    ),
    "slow images": Scene(jobs=3, speed=6, stall=60),
    "long wait": Scene(jobs=3, speed=20, stall=60, settings={"JOB_SECONDS": "16"}),
    "gates": Scene(settings={"GATES": "image,video"}),
    "replies lost": Scene(
        faults=(fault("submit", "lose-reply", service="video", often={"first": 1}),),
        vendor={"duplicates": "accept"},
    ),
    "cancelled in its image": Scene(
        faults=(endless("image"),), rate=APART, act=cancelled_in_its_image, ends={"#1": "cancelled"}
    ),
    "cancelled in its video": Scene(
        faults=(endless("video"),), rate=APART, act=cancelled_in_its_video, ends={"#1": "cancelled"}
    ),
    "cancelled in doubt": Scene(
        speed=20,
        stall=60,
        faults=(
            fault(
                "submit",
                "accept-late",
                service="image",
                match={"nth": 1},
                often={"first": 1},
                **{"with": {"seconds": 40}},
            ),
        ),
        rate=APART,
        act=cancelled_in_doubt,
        ends={"#1": "cancelled"},
    ),
    "given up": Scene(
        jobs=2,
        stall=60,
        faults=(fault("start", "stick", service="video", match={"nth": 1}),),
        rate=APART,
        settings={
            "VIDEO_GIVE_UP_SECONDS": "8",
            "VIDEO_ATTEMPT_SECONDS": "4",
            "DRAIN_SECONDS": "5",
        },
    ),
    "denied once": Scene(
        jobs=2,
        speed=20,
        faults=(fault("poll", "forget", service="image", often={"events": "3"}),),
        settings={"IMAGE_LOST_SECONDS": "3"},
    ),
    "one slow image": Scene(
        jobs=2,
        speed=15,
        faults=(
            fault(
                "start",
                "slow",
                service="image",
                match={"nth": 1},
                often={"attempts": 1},
                **{"with": {"factor": 4}},
            ),
        ),
        settings={"IMAGE_ATTEMPT_SECONDS": "3"},
    ),
    "nine": Scene(jobs=9),
    "first videos fail": Scene(
        faults=(fault("start", "fail", service="video", often={"attempts": "1"}),),
        settings={"VIDEO_POLL_SECONDS": "4"},
    ),
    "files corrupt": Scene(presets=("corrupt-results",)),
    "away": Scene(jobs=2, stall=40, faults=(away("image", times=8),)),
    # The video takes five seconds, after five of refusals, and may take eight.
    "away, then slow": Scene(
        jobs=2,
        stall=40,
        faults=(
            away("video", times=5),
            fault("start", "slow", service="video", match={"nth": 1}, **{"with": {"extra": 900}}),
        ),
        rate=APART,
        settings={
            "VIDEO_GIVE_UP_SECONDS": "8",
            "VIDEO_ATTEMPT_SECONDS": "6",
            "DRAIN_SECONDS": "10",
        },
    ),
    "late videos": Scene(jobs=2, speed=8, stall=40, settings={"VIDEO_ATTEMPT_SECONDS": "2"}),
    "busy vendor": Scene(stall=60, presets=("busy-vendor",)),
    "refused for good": Scene(presets=("pack-used-up",)),
    "late images": Scene(jobs=2, speed=6, stall=60, settings={"IMAGE_ATTEMPT_SECONDS": "2"}),
    "terminated": Scene(
        faults=(endless("video"),), rate=APART, act=terminated, ends={"#1": "failed"}
    ),
    "terminated, a long drain": Scene(
        faults=(endless("video"),),
        rate=APART,
        act=terminated_and_drained_for_long,
        ends={"#1": "failed"},
    ),
    "terminated, then turned over": Scene(
        faults=(endless("video"),),
        rate=APART,
        settings={"SEMAPHORE_MAX_HISTORY": "20"},
        act=terminated_and_turned_over,
        ends={"#1": "failed"},
    ),
    "terminated while it waits": Scene(
        jobs=4, faults=(endless("image"),), rate=APART, act=waiter_terminated, ends={"#2": "failed"}
    ),
    "semaphore terminated": Scene(faults=(endless("image"),), rate=APART, act=semaphore_terminated),
    "watch failed": Scene(faults=(endless("image"),), rate=APART, act=watch_failed),
    "worker killed": Scene(faults=(endless("image"),), rate=APART, workers=2, act=worker_killed),
}
