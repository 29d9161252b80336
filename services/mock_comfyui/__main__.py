"""`python -m services.mock_comfyui`: the image service, configured by the environment."""

from services.mock_comfyui.settings import ComfyuiSettings
from services.mock_core.settings import load

if __name__ == "__main__":
    settings = load(ComfyuiSettings)
    # Imported here, so that a mistake in the settings is reported at once.
    from services.mock_comfyui.app import create_app
    from services.mock_core.app import serve

    serve(create_app(settings), settings, port=settings.comfyui_port, name="mock-comfyui")
