"""`python -m services.api` runs the API until it is asked to stop."""

from services.api.settings import ApiSettings
from shared.quick_start import quick_start
from shared.settings.common import load_to_start

# Streams are asked to end at once; this limits those that don't listen.
SHUTDOWN_SECONDS = 3


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    settings = load_to_start(ApiSettings)
    # Imported here, so that a mistake in the settings is reported at once.
    with quick_start():
        from services.api.app import create_app
        from shared.http.web import server
        from shared.telemetry import logs, tracing

    logs.configure(service="api", level=settings.log_level, form=settings.log_format)
    tracing.configure(settings.traces_go_to, headers=settings.trace_headers, service="api")
    app = create_app(settings)
    server(
        app,
        settings.listen_host,
        port=settings.api_port,
        shutdown_seconds=SHUTDOWN_SECONDS,
        proxies=settings.proxies,
    ).run()


if __name__ == "__main__":
    main()
