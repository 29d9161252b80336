"""Which wires the worker speaks to its vendors: the small contract, or those of their own."""

import pytest

from services.mock_kling.settings import KlingSettings, initial_config
from services.worker.settings.worker import WorkerSettings
from services.worker.vendors.comfyui.images import ComfyuiImages
from services.worker.vendors.service.images import ImageService
from tests.services.mock_core.serving import Json
from tests.services.worker.graphs.examples import WITHOUT_MODELS

_MOCK = initial_config(KlingSettings())
# A token's half an hour is over at once where the mock's clock runs much faster than it does here.
KLING: Json = {"video_api": "kling", "kling_api_key": _MOCK.api_key}
SIGNED: Json = {
    "video_api": "kling",
    "kling_access_key": _MOCK.access_key,
    "kling_secret_key": _MOCK.secret_key,
}
APIS: dict[str, Json] = {"service": {}, "kling": KLING}
# For what is to be true of each; `vendor_api` are settings of the worker.
over_both_video_apis = pytest.mark.parametrize("vendor_api", APIS.values(), ids=list(APIS))

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
