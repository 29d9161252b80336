"""Logs on stderr: JSON lines in a container or file, plain text on a terminal."""

import json
import logging
import sys
import time

from services.mock_core.lib.times import rfc3339
from services.mock_core.settings import MockSettings


class JsonLines(logging.Formatter):
    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "timestamp": rfc3339(record.created),
            "level": record.levelname.lower(),
            "service": self._service,
            "logger": record.name,
            "event": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


class Plain(logging.Formatter):
    converter = staticmethod(time.gmtime)

    def __init__(self) -> None:
        super().__init__("%(asctime)sZ %(levelname)-7s %(name)s %(message)s", "%H:%M:%S")


def configure_logs(settings: MockSettings, *, service: str) -> None:
    as_json = settings.log_format == "json" or (
        settings.log_format == "auto" and not sys.stderr.isatty()
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines(service) if as_json else Plain())
    logging.basicConfig(handlers=[handler], level=settings.log_level, force=True)
    for noisy in ("httpx", "httpcore", "PIL", "libav"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
