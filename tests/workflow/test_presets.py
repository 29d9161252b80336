"""Under each preset the pipeline does what the preset says: failures where it must, none else."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client

from services.mock_core.faults.presets import PRESETS
from shared.jobs.states import Status
from shared.slot.messages import CHANGE_UPDATE, JOB_GATE, SlotChange, semaphore_id
from tests.fixtures.temporal import NewClient
from tests.services.mock_core.serving import Json, Service
from tests.workflow.pipeline import Pipeline, paid_once, working
from tests.workflow.wires import COMFYUI, FAL, KLING

# Enough for every share and number that a preset picks; those that meet each job alike need fewer.
JOBS, ALIKE = 4, 1
# So many tests; the pipelines of one run beside each other, for most of their time is waiting.
GROUPS = 6
# What never ends is waited for until it is given up; all else may take as long as a busy machine.
ENDLESS = ("stuck-at-99", "never-started")
# Those that its codes, its look-up and the forms of its callbacks have a part in.
OVER_KLING = (
    "accepted-late",
    "busy-pool",
    "everything-at-once",
    "pack-used-up",
)
# Those that its queue, its webhooks and its two answers for one end have a part in.
OVER_FAL = (
    "callback-before-reply",
    "failed-after-success",
    "vendor-restart",
)
# Those that its jobs, its files and our ids have a part in; a success without a file is final.
OVER_COMFYUI = ("broken-connections", "everything-at-once", "flaky-polls", "redirected-results")
LIMITS: dict[str, Any] = {
    "image_attempt_seconds": 8,
    "video_attempt_seconds": 8,
    "image_give_up_seconds": 10,
    "video_give_up_seconds": 10,
    "drain_seconds": 2,
}


async def _arm(service: Service, preset: str) -> None:
    reply = await service.http.put("/admin/faults", json={"preset": preset})
    assert reply.status_code == 200


async def _struck(service: Service) -> set[str]:
    """The jobs of ours that a fault has met."""
    rows = (await service.json("/admin/trace"))["rows"]
    return {row["external_id"].split(".")[0] for row in rows}


def _jobs(preset: str) -> int:
    rules = PRESETS[preset].rules
    picks = any("match" in rule or "probability" in rule.get("often", {}) for rule in rules)
    return JOBS if picks else ALIKE


async def _bills(line: Pipeline) -> list[Json]:
    return [
        row for service in (line.images, line.videos) for row in await service.json("/admin/ledger")
    ]


@pytest.mark.parametrize("presets", [list(PRESETS)[n::GROUPS] for n in range(GROUPS)], ids=" ".join)
async def test_the_pipeline_keeps_what_each_preset_expects(
    new_client: NewClient, tmp_path: Path, presets: list[str]
) -> None:
    await _keeps(new_client, tmp_path, presets)


async def test_so_it_does_over_klings_own_api(new_client: NewClient, tmp_path: Path) -> None:
    await _keeps(new_client, tmp_path, OVER_KLING, **KLING)


async def test_so_it_does_over_fals_queue(new_client: NewClient, tmp_path: Path) -> None:
    await _keeps(new_client, tmp_path, OVER_FAL, **FAL)


async def test_so_it_does_over_a_comfyuis_own_api(new_client: NewClient, tmp_path: Path) -> None:
    await _keeps(new_client, tmp_path, OVER_COMFYUI, **COMFYUI)


async def _keeps(
    new_client: NewClient, tmp_path: Path, presets: Sequence[str], **vendor_api: Any
) -> None:
    clients = [await new_client() for _ in presets]
    kept = await asyncio.gather(
        *(
            _mistakes(client, tmp_path / preset, preset, **vendor_api)
            for client, preset in zip(clients, presets, strict=True)
        )
    )
    assert dict(zip(presets, kept, strict=True)) == {preset: [] for preset in presets}


async def _mistakes(client: Client, data_dir: Path, preset: str, **vendor_api: Any) -> list[str]:
    """What went otherwise than the preset says, in a pipeline of its own."""
    limits = LIMITS if preset in ENDLESS else {}
    async with working(client, data_dir, **limits, **vendor_api) as line:
        semaphore = client.get_workflow_handle(semaphore_id(JOB_GATE))
        await line.free()
        await semaphore.execute_update(CHANGE_UPDATE, SlotChange(limit=JOBS))
        for service in (line.images, line.videos):
            await _arm(service, preset)
        ids = [await line.submit(f"prompt {number}") for number in range(_jobs(preset))]
        records = await asyncio.gather(*(line.ended(job_id) for job_id in ids))
        struck = await _struck(line.images) | await _struck(line.videos)
        must_fail = struck if PRESETS[preset].fatal else set()
        mistakes = [
            f"{record.job_id} {record.status}: {record.error}"
            for record in records
            if (record.status is Status.FAILED) != (record.job_id in must_fail)
        ]
        if not struck:
            mistakes.append("met nobody")
        if not paid_once(await _bills(line)):
            mistakes.append("paid twice")
        return mistakes
