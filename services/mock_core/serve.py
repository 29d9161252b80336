"""Runs a mock's application under uvicorn, which logs no single request."""

import logging

import uvicorn
from fastapi import FastAPI

from services.mock_core.broken import ResettableProtocol
from services.mock_core.logs import configure_logs
from services.mock_core.settings import MockSettings

_GRACE_SECONDS = 2
# One more is answered with 503, as by a vendor that has too many.
_CONNECTIONS = 5000


def serve(app: FastAPI, settings: MockSettings, *, port: int, name: str) -> None:
    """Blocks until the process is told to stop."""
    configure_logs(settings, service=name)
    config = uvicorn.Config(
        app,
        host=settings.listen_host,
        port=port,
        http=ResettableProtocol,
        ws="websockets-sansio",
        log_config=None,
        access_log=False,
        date_header=False,
        proxy_headers=False,
        limit_concurrency=_CONNECTIONS,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    uvicorn.Server(config).run()
