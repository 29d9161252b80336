"""The stages of a job in which its worker's host is cut off, and what holds it there."""

import asyncio
from dataclasses import dataclass
from typing import Any

import httpx
from temporalio.client import Client, WorkflowExecutionDescription

from tests.fixtures.eventually import eventually
from tools.hosts.site import IMAGES, VIDEOS, Site

# Nominal: twelve seconds by the wall.
LONG = "1200"
PATIENCE = 300.0

Row = dict[str, Any]


@dataclass(frozen=True)
class Stage:
    """When a job's worker is cut off: while `activity` is at work, and `rule` holds it there.

    Without a rule the store does.
    """

    service: str
    activity: str
    rule: dict[str, Any] | None


def _rule(where: str, do: str, **given: Any) -> dict[str, Any]:
    return {"where": where, "do": do, "with": given, "until": {"count": 1}}


STAGES = {
    "image": Stage("image", "gen_image", _rule("start", "slow", factor=1, extra=LONG)),
    "submit": Stage("video", "request_video", _rule("submit", "delay", seconds=LONG)),
    "waiting": Stage("video", "collect_video", _rule("start", "slow", factor=1, extra=LONG)),
    "fetch": Stage("image", "gen_image", _rule("result", "drip", seconds="6000")),
    "store": Stage("image", "gen_image", None),
}


async def arm(hosts: Site, stage: Stage) -> int:
    """Hold the next job there; how many were held before."""
    if stage.rule is None:
        hosts.hold.touch()
        return 0
    async with _vendor(hosts, stage) as http:
        rule = {**stage.rule, "service": stage.service}
        (await http.put("/admin/faults", json=rule)).raise_for_status()
        return int((await http.get("/admin/trace")).json()["recorded"])


async def held(hosts: Site, stage: Stage, before: int) -> str:
    """The job that is being held, once it is."""
    if stage.rule is None:
        path = await eventually(
            lambda: asyncio.to_thread(hosts.hold.read_text), bool, seconds=PATIENCE
        )
        return path.partition("/assets/")[2].partition("/")[0]
    async with _vendor(hosts, stage) as http:

        async def trace() -> Row:
            return dict((await http.get("/admin/trace")).json())

        seen = await eventually(trace, lambda seen: seen["recorded"] > before, seconds=PATIENCE)
        return str(seen["rows"][-1]["external_id"]).partition(".")[0]


def _vendor(hosts: Site, stage: Stage) -> httpx.AsyncClient:
    url = hosts.address("ground", IMAGES if stage.service == "image" else VIDEOS)
    return httpx.AsyncClient(base_url=url, timeout=60)


async def at_work(client: Client, job_id: str, activity: str) -> str:
    """The host that is at it."""

    async def look() -> WorkflowExecutionDescription:
        return await client.get_workflow_handle(job_id).describe()

    def who(seen: WorkflowExecutionDescription) -> str:
        pending = seen.raw_description.pending_activities
        own = (each for each in pending if each.activity_type.name == activity)
        return next((each.last_worker_identity.rpartition("@")[2] for each in own), "")

    return who(await eventually(look, who, seconds=PATIENCE))
