"""`python -m services.api` runs the API until it is asked to stop."""

from services.api.settings import ApiSettings
from shared.settings.common import load_to_start

if __name__ == "__main__":
    settings = load_to_start(ApiSettings)
    # Imported here, so that a mistake in the settings is reported at once.
    from services.api.app import create_app
    from shared.http.web import serve

    serve("api", lambda: create_app(settings), settings, port=settings.api_port)
