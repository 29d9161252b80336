"""The negative control: builds broken on purpose are caught by name, and the sound one passes.

A checker that lets one of these pass is the mistake, and is to be mended.
"""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from temporalio.client import Client

from services.worker.results import checker
from shared.semaphore import rebuild
from tests.chaos.judgement import Rule, violations
from tests.control import builds
from tests.control import scene as scenes
from tests.control.scene import Disturb, Scene

# A build that stands still is given up after so long without any change.
STALL_SECONDS = 4.0
# One whose books tell something only if the second job comes to begin leaves a busy machine time.
PATIENT_STALL_SECONDS = 10.0
# What a scene's books break.
Play = Callable[[Scene], Awaitable[set[Rule]]]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, forked_openers: tuple[str, ...]) -> None:
    monkeypatch.setattr(checker, "COMMAND", forked_openers)
    monkeypatch.setattr(rebuild, "LISTING_PAUSE_SECONDS", 0.05)


@pytest.fixture
def play(client: Client, tmp_path: Path) -> Play:
    async def broken(scene: Scene) -> set[Rule]:
        evidence = await scene.play(client, tmp_path)
        return {violation.rule for violation in violations(evidence)}

    return broken


SCENES = (
    scenes.a_long_job,
    scenes.the_holder_terminated,
    scenes.the_holder_cancelled,
    scenes.the_semaphore_terminated,
    scenes.the_watch_failed,
    scenes.requests_sent_again,
)


@pytest.mark.parametrize("disturb", SCENES, ids=lambda disturb: disturb.__name__)
async def test_the_sound_build_passes(client: Client, tmp_path: Path, disturb: Disturb) -> None:
    evidence = await Scene(builds.ours, disturb).play(client, tmp_path)
    assert violations(evidence) == []


async def test_the_same_jobs_are_in_every_book(client: Client, tmp_path: Path) -> None:
    """Submitted, listed by the API, in Temporal, on disk: one set, and each job of it has ended."""
    evidence = await Scene(builds.ours, scenes.nothing).play(client, tmp_path)
    jobs = evidence.books.jobs
    assert len({job.job_id for job in jobs}) == len(jobs) == scenes.JOBS
    for job in jobs:
        assert len(job.submissions) == 1
        assert [(shown.listed, shown.status) for shown in job.api] == [(True, "succeeded")]
        assert [run.status for run in job.executions] == ["COMPLETED"]
        assert job.record is not None
        assert job.record.status == "succeeded"
    assert violations(evidence) == []


async def test_a_semaphore_in_each_process_is_caught(play: Play) -> None:
    scene = Scene(builds.semaphores, scenes.nothing, speaks=False)
    assert Rule.AT_ONCE in await play(scene)


async def test_no_draining_is_caught(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    builds.without_draining(monkeypatch)
    scene = Scene(builds.ours, scenes.the_holder_terminated)
    assert Rule.AT_ONCE in await play(scene)


async def test_no_rebuilding_is_caught(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    builds.without_rebuilding(monkeypatch)
    scene = Scene(builds.ours, scenes.the_semaphore_terminated, stall=STALL_SECONDS)
    assert Rule.ALL_END in await play(scene)


async def test_no_new_watch_is_caught(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    builds.without_a_new_watch(monkeypatch)
    scene = Scene(builds.ours, scenes.the_watch_failed, stall=STALL_SECONDS)
    assert Rule.NOBODY_HELD in await play(scene)


async def test_a_lease_that_lapses_is_caught(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    builds.with_a_lease(monkeypatch)
    scene = Scene(builds.ours, scenes.a_job_until_another_begins, stall=PATIENT_STALL_SECONDS)
    assert Rule.AT_ONCE in await play(scene)


async def test_a_holder_that_is_not_noted_is_caught(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    builds.without_a_note_of_the_holder(monkeypatch)
    scene = Scene(builds.ours, scenes.a_job_until_another_begins)
    assert Rule.AT_ONCE in await play(scene)


async def test_no_waiting_for_the_vendors_is_caught(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    builds.without_waiting_for_the_vendors(monkeypatch)
    scene = Scene(builds.ours, scenes.the_holder_cancelled)
    assert Rule.AT_ONCE in await play(scene)
