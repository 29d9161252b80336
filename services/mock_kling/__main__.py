"""`python -m services.mock_kling`: the video service, configured by the environment."""

from services.mock_core.settings import load
from services.mock_kling.settings import KlingSettings

if __name__ == "__main__":
    settings = load(KlingSettings)
    # Imported here, so that a mistake in the settings is reported at once.
    from services.mock_core.app import serve
    from services.mock_kling.app import create_app

    serve(create_app(settings), settings, port=settings.kling_port, name="mock-kling")
