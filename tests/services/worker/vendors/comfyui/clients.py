"""A ComfyUI's client before a stub, with a plan of the test's own."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from services.worker.vendors.comfyui.calls import Calls
from services.worker.vendors.comfyui.images import ComfyuiImages
from services.worker.vendors.comfyui.percents import Percents
from shared.pipeline.vendor import VendorStatus
from tests.fixtures.present import present
from tests.services.worker.graphs.examples import example, plan_of
from tests.services.worker.vendors.comfyui.bodies import ID, JOB, OURS, STATS, VERSION
from tests.services.worker.vendors.stub import Answer, StubVendor

URL = f"http://vendor/api/view?filename=image_00001_.png&subfolder=genvideo%2F{ID}&type=output"
KEY = {"X-API-Key": "k"}


class Silent(Percents):
    """Opens no socket; remembers who has ended."""

    def __init__(self) -> None:
        super().__init__("http://vendor", {"1": 1}, {})
        self.ended: list[str] = []

    def of(self, prompt_id: str) -> int:
        return 42

    def forget(self, prompt_id: str) -> None:
        self.ended.append(prompt_id)


@asynccontextmanager
async def images_at(
    vendor: StubVendor, *, headers: Mapping[str, str] = KEY, **plan: Any
) -> AsyncIterator[ComfyuiImages]:
    """The vendor, with the example's graph where no other `nodes` are given."""
    nodes = plan.pop("nodes", None) or example()
    made = plan_of(nodes, **plan)
    async with vendor.client() as http:
        yield ComfyuiImages(Calls(http, made.graph.escaped_bytes), made, Silent(), headers)


async def submit(vendor: StubVendor, **plan: Any) -> str:
    """A submit of the usual image, to a server that is new enough."""
    vendor.answers.setdefault(STATS, [VERSION])
    async with images_at(vendor, **plan) as images:
        return await images.submit(OURS, 7, prompt="猫", style="ink")


async def status(answers: dict[str, list[Answer]], **plan: Any) -> VendorStatus | None:
    async with images_at(StubVendor(answers), **plan) as images:
        return await images.status(OURS)


async def told(answer: Answer, **plan: Any) -> VendorStatus:
    """What one answer about it means; it is known."""
    return present(await status({JOB: [answer]}, **plan))
