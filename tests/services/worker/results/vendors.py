"""Vendors whose results are stored; nothing but their traits and credentials is asked for."""

from collections.abc import Mapping
from typing import ClassVar

import httpx

from services.worker.vendors.service.images import ImageService
from services.worker.vendors.vendor import Traits
from shared.jobs.assets import KINDS
from shared.jobs.states import Step

KEY = {"X-API-Key": "a-key-of-the-tests"}


class AnyKind(ImageService):
    """Its images are of every kind that there is."""

    traits: ClassVar = Traits(image_kinds=KINDS[Step.IMAGE])


class Locked(ImageService):
    """It gives nothing without its key."""

    def credentials(self) -> Mapping[str, str]:
        return KEY


VENDOR, ANY_KIND, LOCKED = (each(httpx.AsyncClient()) for each in (ImageService, AnyKind, Locked))
