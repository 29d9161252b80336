"""Kling as the settings have it; what they mean for callbacks is said once."""

import httpx
import structlog

from services.worker.settings.worker import WorkerSettings
from services.worker.vendors.kling import checks
from services.worker.vendors.kling.callbacks import may_be_told
from services.worker.vendors.kling.first import FirstGeneration
from services.worker.vendors.kling.relay import Relay
from services.worker.vendors.kling.second import SecondGeneration
from services.worker.vendors.kling.videos import KlingVideos
from services.worker.vendors.kling.wire import Wire

log = structlog.get_logger(__name__)


def kling_videos(http: httpx.AsyncClient, settings: WorkerSettings) -> KlingVideos:
    """The vendor, which calls back where it can reach us, and else is asked alone."""
    official = settings.kling_dialect == "official"
    pushes = official and may_be_told(settings.callback_url, settings.video_service_url)
    if not pushes:
        why = "CALLBACK_URL is no public https address" if official else "a relay passes none on"
        log.info("no callbacks: the video vendor is polled", reason=why)
    known = checks.standing(settings, pushes=pushes)
    return KlingVideos(http, settings, _wire(settings), pushes=pushes, known=known)


def _wire(settings: WorkerSettings) -> Wire:
    if settings.kling_dialect == "newapi":
        return Relay(settings)
    if settings.kling_generation == "2":
        return SecondGeneration(settings)
    return FirstGeneration(settings)
