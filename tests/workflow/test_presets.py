"""Under each preset the pipeline does what the preset says: failures where it must, none else."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client

from services.mock_core.faults.presets import PRESETS
from shared.jobs.states import Status
from tests.fixtures.temporal import NewClient
from tests.services.mock_core.serving import Service
from tests.workflow.pipeline import Pipeline, paid_once, rows, working
from tests.workflow.wires import COMFYUI, KLING

# Enough for every share and number that a preset picks; those that meet each job alike need fewer.
JOBS, ALIKE = 3, 1
# So many tests; the pipelines of one run beside each other, for most of their time is waiting, and
# each serves several presets, one after the other.
GROUPS, ABREAST = 4, 2
# What never ends is waited for until it is given up; all else may take as long as a busy machine.
ENDLESS = ("stuck-at-99", "never-started")
# Those that its codes, its look-up and the forms of its callbacks have a part in.
OVER_KLING = (
    "accepted-late",
    "busy-vendor",
    "everything-at-once",
    "pack-used-up",
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
    rows = (await service.json("/admin/trace"))["rows"]
    return {row["external_id"].split(".")[0] for row in rows}


def _jobs(preset: str) -> int:
    rules = PRESETS[preset].rules
    picks = any("match" in rule or "probability" in rule.get("often", {}) for rule in rules)
    return JOBS if picks else ALIKE


@pytest.mark.parametrize("presets", [list(PRESETS)[n::GROUPS] for n in range(GROUPS)], ids=" ".join)
async def test_pipeline_meets_the_expectation_of_each_preset(
    new_client: NewClient, tmp_path: Path, presets: list[str]
) -> None:
    await _keeps(new_client, tmp_path, presets)


async def test_presets_over_klings_native_routes(new_client: NewClient, tmp_path: Path) -> None:
    await _keeps(new_client, tmp_path, OVER_KLING, **KLING)


async def test_presets_over_a_comfyuis_native_routes(new_client: NewClient, tmp_path: Path) -> None:
    await _keeps(new_client, tmp_path, OVER_COMFYUI, **COMFYUI)


async def _keeps(
    new_client: NewClient, tmp_path: Path, presets: Sequence[str], **vendor_api: Any
) -> None:
    served = _served_together(presets)
    clients = [await new_client() for _ in served]
    found = await asyncio.gather(
        *(
            _mistakes(client, tmp_path / each[0], each, **vendor_api)
            for client, each in zip(clients, served, strict=True)
        )
    )
    mistakes = {preset: said for each in found for preset, said in each.items()}
    assert mistakes == {preset: [] for preset in presets}


def _served_together(presets: Sequence[str]) -> list[list[str]]:
    """Which presets one pipeline serves; what never ends has other limits, and one of its own."""
    ending = [preset for preset in presets if preset not in ENDLESS]
    rows = [ending[n::ABREAST] for n in range(ABREAST)]
    return rows + [[preset] for preset in presets if preset in ENDLESS]


async def _mistakes(
    client: Client, data_dir: Path, presets: Sequence[str], **vendor_api: Any
) -> dict[str, list[str]]:
    limits = {} if set(presets).isdisjoint(ENDLESS) else LIMITS
    async with working(client, data_dir, **limits, **vendor_api) as line:
        await line.change(limit=JOBS)
        return {preset: await _otherwise(line, preset) for preset in presets}


async def _otherwise(line: Pipeline, preset: str) -> list[str]:
    """What went otherwise than a preset says; the vendors know nothing of what was before."""
    await line.free()
    for service in (line.images, line.videos):
        await _arm(service, preset)
        reply = await service.post("/admin/reset", {})
        assert reply.status_code == 200, reply.text
    # Of these a preset that strikes a quarter of the prompts strikes one or two.
    ids = [await line.submit(f"prompt {number}") for number in range(1, _jobs(preset) + 1)]
    records = await asyncio.gather(*(line.ended(job_id) for job_id in ids))
    struck = await _struck(line.images) | await _struck(line.videos)
    must_fail = struck if PRESETS[preset].fatal else set()
    mistakes = [
        f"{record.job_id} {record.status}: {record.error}"
        for record in records
        if (record.status is Status.FAILED) != (record.job_id in must_fail)
    ]
    if struck.isdisjoint(ids):
        mistakes.append("met nobody")
    if not paid_once(await rows(line)):
        mistakes.append("paid twice")
    return mistakes
