"""The wires to both vendors under strikes: disturbed for a while, or a submit held on them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from tests.chaos.schedule import IMAGE_WIRE, VIDEO_WIRE, Hit, Stage
from tests.chaos.vendor_wire import Deed, Request, Route, Trouble, VendorWire, vendor_wire

_WIRES = {Stage.IMAGE_HELD: IMAGE_WIRE, Stage.VIDEO_HELD: VIDEO_WIRE}


@dataclass(frozen=True)
class VendorWires:
    """One wire to each vendor."""

    images: VendorWire
    videos: VendorWire

    @property
    def count(self) -> int:
        """Requests that came over either."""
        return self.images.count + self.videos.count

    async def disturb(self, hit: Hit, seconds: float, *, patience: float) -> Trouble:
        """Do a hit's deed to the first that comes on its route in time, and for so long from then.

        Returns what was done, when nobody that it met waits any more: a sender whose reply was lost
        does until its own time is up.
        """
        if hit.route is None:
            raise ValueError("a strike on a vendor's wire has a route")
        trouble = self._of(hit.target).trouble(hit.route, Deed(hit.kind.value))
        try:
            if await _struck(trouble, patience):
                await asyncio.sleep(seconds)
        finally:
            trouble.release()
        await trouble.gone()
        return trouble

    async def hold(
        self, stage: Stage, seconds: float, *, patience: float, prompt: str = ""
    ) -> str | None:
        """The job whose submit is being held now, for so long; None when there was none in time."""

        def fits(request: Request) -> bool:
            return prompt.encode() in request.body

        wire = self._of(_WIRES[stage])
        held = wire.trouble(Route.SUBMIT, Deed.HOLD_REQUEST, times=1, fits=fits)
        request = await _struck(held, patience)
        if request is None:
            held.release()
            return None
        asyncio.get_running_loop().call_later(seconds, held.release)
        return (request.external_id or "").split(".")[0]

    def _of(self, target: str) -> VendorWire:
        return {IMAGE_WIRE: self.images, VIDEO_WIRE: self.videos}[target]


async def _struck(held: Trouble, patience: float) -> Request | None:
    try:
        return await asyncio.wait_for(held.struck(), patience)
    except TimeoutError:
        return None


@contextlib.asynccontextmanager
async def vendor_wires(images: str, videos: str) -> AsyncIterator[VendorWires]:
    """Wires to the vendors at these addresses for as long as the block runs."""
    async with vendor_wire(images) as to_images, vendor_wire(videos) as to_videos:
        yield VendorWires(to_images, to_videos)
