"""`python -m services.mock_comfyui`: the image service, configured by the environment."""

from services.mock_comfyui.settings import ComfyuiSettings
from services.mock_core.settings import load_or_check

if __name__ == "__main__":
    settings = load_or_check(ComfyuiSettings)
    # Not before: `make up` has the settings of every service checked, which is to be quick.
    from services.mock_comfyui.app import create_app
    from services.mock_core.app import serve

    serve(create_app(settings), settings, port=settings.comfyui_port, name="mock-comfyui")
