"""A ComfyUI's client before a stub, with a plan of the test's own."""

from collections.abc import Mapping
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


def images_at(
    vendor: StubVendor, *, headers: Mapping[str, str] = KEY, **plan: Any
) -> ComfyuiImages:
    """The vendor, with the example's graph where no other `nodes` are given."""
    made = plan_of(plan.pop("nodes", None) or example(), **plan)
    return ComfyuiImages(Calls(vendor.client(), made.graph.escaped_bytes), made, Silent(), headers)


async def submit(vendor: StubVendor, **plan: Any) -> str:
    """A submit of the usual image, to a server that is new enough."""
    vendor.answers.setdefault(STATS, [VERSION])
    return await images_at(vendor, **plan).submit(OURS, 7, prompt="猫", style="ink")


async def status(answers: dict[str, list[Answer]], **plan: Any) -> VendorStatus | None:
    return await images_at(StubVendor(answers), **plan).status(OURS)


async def told(answer: Answer, **plan: Any) -> VendorStatus:
    """What one answer about it means; it is known."""
    return present(await status({JOB: [answer]}, **plan))
