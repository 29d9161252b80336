"""`python -m services.callback` runs the receiver until it is asked to stop."""

from services.callback.settings import CallbackSettings
from shared.settings.common import load_to_start

# Each takes some memory, and a vendor needs some tens; one more gets 503.
CONNECTIONS = 1000

if __name__ == "__main__":
    settings = load_to_start(CallbackSettings)
    # Imported here, so that a mistake in the settings is reported at once.
    from services.callback.app import create_app
    from shared.http.web import serve

    serve(
        "callback",
        lambda: create_app(settings),
        settings,
        port=settings.callback_port,
        connections=CONNECTIONS,
    )
