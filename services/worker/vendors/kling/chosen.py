"""Kling as the settings have it; what they mean for callbacks is said once."""

import httpx

from services.worker.settings.worker import WorkerSettings
from services.worker.vendors.callbacks import log_no_callbacks, pushes_to_us
from services.worker.vendors.kling import checks
from services.worker.vendors.kling.first import FirstGeneration
from services.worker.vendors.kling.relay import Relay
from services.worker.vendors.kling.second import SecondGeneration
from services.worker.vendors.kling.videos import BOUNDS, KlingVideos
from services.worker.vendors.kling.wire import Wire
from services.worker.vendors.sizes import misfit


def kling_videos(http: httpx.AsyncClient, settings: WorkerSettings) -> KlingVideos:
    """The vendor, which calls back where it can reach us, and else is asked alone."""
    pushes = _pushes(settings)
    known = (
        *checks.standing(settings, pushes=pushes),
        *misfit(checks.SIZE, settings, BOUNDS, "Kling"),
    )
    return KlingVideos(http, settings, _wire(settings), pushes=pushes, known=known)


def _pushes(settings: WorkerSettings) -> bool:
    if settings.kling_dialect == "official":
        return pushes_to_us(settings)
    log_no_callbacks("a relay passes none on")
    return False


def _wire(settings: WorkerSettings) -> Wire:
    if settings.kling_dialect == "newapi":
        return Relay(settings)
    if settings.kling_generation == "2":
        return SecondGeneration(settings)
    return FirstGeneration(settings)
