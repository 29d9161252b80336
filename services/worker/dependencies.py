"""What the worker's activities work with; one set, made once for the process."""

from dataclasses import dataclass

from temporalio.client import Client

from services.worker.results.storage import Storage
from services.worker.settings import WorkerSettings
from services.worker.vendors.image_service import ImageService
from services.worker.vendors.video_service import VideoService


@dataclass(frozen=True, kw_only=True)
class Dependencies:
    """Settings, and the ways to Temporal, to both vendors and to the disk."""

    settings: WorkerSettings
    client: Client
    images: ImageService
    videos: VideoService
    storage: Storage
