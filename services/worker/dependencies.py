"""What the worker's activities work with; one set, made once for the process."""

from dataclasses import dataclass

from temporalio.client import Client

from services.worker.results.storage import Storage
from services.worker.settings.worker import WorkerSettings
from services.worker.vendors.vendor import ImageVendor, VideoVendor


@dataclass(frozen=True, kw_only=True)
class Dependencies:
    """Settings, and the ways to Temporal, to both vendors and to the disk."""

    settings: WorkerSettings
    client: Client
    images: ImageVendor
    videos: VideoVendor
    storage: Storage
