"""Each mock's clock beside the runner's: off by what a request's way leaves open."""

from collections.abc import Iterable
from typing import Any

from loadtest.wire.http import Unreachable
from loadtest.wire.vendor import Vendor

PROBES = 5
"""The quickest of several requests says most."""


async def probe(vendors: Iterable[Vendor], moment: str) -> list[dict[str, Any]]:
    """Some readings of each vendor's clock; `moment` is the end of the run that they are of."""
    found = []
    for vendor in vendors:
        for _ in range(PROBES):
            try:
                reading = await vendor.clock()
            except Unreachable:
                break
            if reading is not None:
                found.append({"service": vendor.name, "moment": moment, **reading})
    return found
