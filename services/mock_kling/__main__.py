"""`python -m services.mock_kling`: the video service, configured by the environment."""

from services.mock_core.serve import serve
from services.mock_core.settings import load_settings
from services.mock_kling.app import create_app
from services.mock_kling.settings import KlingSettings

if __name__ == "__main__":
    settings = load_settings(KlingSettings, "mock-kling")
    serve(create_app(settings), settings, port=settings.kling_port, name="mock-kling")
