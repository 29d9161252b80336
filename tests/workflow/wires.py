"""Which wires the worker speaks to its vendors: the small contract, or those of their own."""

import pytest

from services.mock_kling.config import initial_config
from services.mock_kling.settings import KlingSettings
from services.worker.settings.worker import WorkerSettings
from services.worker.vendors.comfyui.images import ComfyuiImages
from services.worker.vendors.service.images import ImageService
from tests.services.mock_core.serving import Json
from tests.services.worker.graphs.examples import WITHOUT_MODELS

_MOCK = initial_config(KlingSettings())
KLING: Json = {
    "video_api": "kling",
    "kling_access_key": _MOCK.access_key,
    "kling_secret_key": _MOCK.secret_key,
}
WIRES: dict[str, Json] = {"service": {}, "kling": KLING}
# For a test, or a suite, of which both are to be true; `wire` goes to the worker's settings.
over_both_wires = pytest.mark.parametrize("wire", WIRES.values(), ids=list(WIRES))

# The prompt alone goes into the graph, as the rules of a test name it.
COMFYUI: Json = {
    "image_api": "comfyui",
    "comfyui_workflow": WITHOUT_MODELS,
    "comfyui_prompt": "{prompt}",
    "comfyui_width": 640,
    "comfyui_height": 360,
}
over_both_image_apis = pytest.mark.parametrize(
    "vendor_api", [{}, COMFYUI], ids=["service", "comfyui"]
)


def image_vendor(settings: WorkerSettings) -> type[ImageService | ComfyuiImages]:
    """Who makes the images under these settings."""
    return ComfyuiImages if settings.image_api == "comfyui" else ImageService
