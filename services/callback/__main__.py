"""`python -m services.callback` runs the receiver until it is asked to stop."""

from services.callback.settings import CallbackSettings
from shared.quick_start import quick_start
from shared.settings.common import load_to_start

SHUTDOWN_SECONDS = 3
# Each takes some memory, and a vendor needs some tens; one more gets 503.
CONNECTIONS = 1000


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    settings = load_to_start(CallbackSettings)
    # Imported here, so that a mistake in the settings is reported at once.
    with quick_start():
        from services.callback.app import create_app
        from shared.http.web import server
        from shared.telemetry import logs, tracing

    logs.configure(service="callback", level=settings.log_level, form=settings.log_format)
    tracing.configure(settings.traces_go_to, headers=settings.trace_headers, service="callback")
    app = create_app(settings)
    server(
        app,
        settings.listen_host,
        port=settings.callback_port,
        shutdown_seconds=SHUTDOWN_SECONDS,
        connections=CONNECTIONS,
        proxies=settings.proxies,
    ).run()


if __name__ == "__main__":
    main()
