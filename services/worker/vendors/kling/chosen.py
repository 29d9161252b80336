"""Kling as the settings have it; what they mean for callbacks is said once."""

import httpx

from services.worker.settings.worker import WorkerSettings
from services.worker.vendors.callbacks import pushes_to_us
from services.worker.vendors.kling import checks
from services.worker.vendors.kling.videos import BOUNDS, KlingVideos
from services.worker.vendors.sizes import misfit


def kling_videos(http: httpx.AsyncClient, settings: WorkerSettings) -> KlingVideos:
    """The vendor, which calls back where it can reach us, and else is asked alone."""
    pushes = pushes_to_us(settings)
    known = (
        *checks.standing(settings, pushes=pushes),
        *misfit(checks.SIZE, settings, BOUNDS, "Kling"),
    )
    return KlingVideos(http, settings, pushes=pushes, known=known)
