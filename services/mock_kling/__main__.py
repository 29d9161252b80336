"""`python -m services.mock_kling`: the video service, configured by the environment."""

from services.mock_core.settings import load_or_check
from services.mock_kling.settings import KlingSettings

if __name__ == "__main__":
    settings = load_or_check(KlingSettings)
    # Not before: `make up` has the settings of every service checked, which is to be quick.
    from services.mock_core.app import serve
    from services.mock_kling.app import create_app

    serve(create_app(settings), settings, port=settings.kling_port, name="mock-kling")
