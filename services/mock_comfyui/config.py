"""What can be changed while the image service runs."""

from services.mock_comfyui.settings import ComfyuiSettings
from services.mock_core.config import RuntimeConfig


def initial_config(settings: ComfyuiSettings) -> RuntimeConfig:
    return RuntimeConfig(
        speed=settings.mock_speed,
        seconds=settings.mock_image_seconds,
        result_days=settings.mock_result_days,
    )
