"""Whether a picture of the size that the settings ask for is one that the video vendor takes."""

from collections.abc import Iterator

from services.worker.settings.worker import WorkerSettings
from services.worker.vendors.findings import Finding, wrong
from services.worker.vendors.vendor import Bounds


def misfit(check: str, settings: WorkerSettings, bounds: Bounds, vendor: str) -> Iterator[Finding]:
    """Nothing where it is, or where the picture's size is set elsewhere."""
    given = {
        "COMFYUI_WIDTH": settings.comfyui_width,
        "COMFYUI_HEIGHT": settings.comfyui_height,
    }
    sides = {name: side for name, side in given.items() if side is not None}
    if settings.image_api != "comfyui" or not sides:
        return
    size = " and ".join(f"{name}={side}" for name, side in sides.items())
    shorter, longer = min(sides.values()), max(sides.values())
    if shorter < bounds.min_side:
        yield wrong(check, f"{size}: {vendor} takes sides of {bounds.min_side} or more")
    elif longer > bounds.max_ratio * shorter:
        yield wrong(
            check, f"{size}: {vendor} takes none that is over {bounds.max_ratio:g} times as long"
        )
