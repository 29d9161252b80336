"""What can be changed while the image service runs."""

from services.mock_comfyui.settings import ComfyuiSettings
from services.mock_core.config import Knobs


def knobs_of(settings: ComfyuiSettings) -> Knobs:
    return Knobs(
        speed=settings.mock_speed,
        seconds=settings.mock_image_seconds,
        result_days=settings.mock_result_days,
    )
