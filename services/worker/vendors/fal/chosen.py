"""fal as the settings have it; what they mean for callbacks is said once."""

import httpx

from services.worker.settings.worker import WorkerSettings
from services.worker.vendors.callbacks import pushes_to_us, untold
from services.worker.vendors.fal.checks import CALLBACKS, SIZE
from services.worker.vendors.fal.videos import BOUNDS, FalVideos
from services.worker.vendors.sizes import misfit


def fal_videos(http: httpx.AsyncClient, settings: WorkerSettings) -> FalVideos:
    """The vendor, which calls back where it can reach us, and else is asked alone."""
    pushes = pushes_to_us(settings)
    known = [] if pushes else [untold(CALLBACKS, settings, "fal")]
    known.extend(misfit(SIZE, settings, BOUNDS, "fal"))
    return FalVideos(http, settings, pushes=pushes, known=known)
