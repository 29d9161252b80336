"""`python -m services.mock_comfyui`: the image service, configured by the environment."""

from services.mock_comfyui.app import create_app
from services.mock_comfyui.settings import ComfyuiSettings
from services.mock_core.serve import serve
from services.mock_core.settings import load_settings

if __name__ == "__main__":
    settings = load_settings(ComfyuiSettings, "mock-comfyui")
    serve(create_app(settings), settings, port=settings.comfyui_port, name="mock-comfyui")
