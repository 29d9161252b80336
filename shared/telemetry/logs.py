"""Structured logs on stdout; inside a job's code every line carries the job's id."""

import json
import logging
import sys
from collections.abc import Sequence
from typing import Any

import structlog
from structlog.types import EventDict, Processor, WrappedLogger

# Libraries that log too much: websockets even keys, uvicorn the query of each socket. Our own
# interceptor logs failed activities.
FLOORS = {
    "httpx": logging.WARNING,
    "httpcore": logging.WARNING,
    "websockets": logging.WARNING,
    "uvicorn.access": logging.WARNING,
    "uvicorn.error": logging.WARNING,
    "temporalio.activity": logging.ERROR,
}

# Fields of the semaphore library's log records, which does not use structlog.
SEMAPHORES = (
    *("semaphore", "job_id", "run_id", "token", "holders", "waiting"),
    *("drain", "tries", "reason"),
)
# The first fields of a line, in this order.
FIRST = ("timestamp", "level", "service", "event", "job_id")
# Of several lines each.
TRACES = frozenset({"exception", "stack"})

_SHARED: tuple[Processor, ...] = (
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.PositionalArgumentsFormatter(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
    structlog.processors.format_exc_info,
    structlog.processors.UnicodeDecoder(),
)


def configure(*, service: str, level: str, form: str) -> None:
    """Send structlog and the standard library's loggers through one formatter."""
    as_json = form == "json" or (form == "auto" and not sys.stdout.isatty())
    renderers: Sequence[Any] = (
        # Invisible characters are escaped; the line parses to the same value.
        (structlog.processors.JSONRenderer(ensure_ascii=False), lambda *line: _seen(line[2]))
        if as_json
        else (_plain, structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty()))
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=(*_SHARED, structlog.stdlib.ExtraAdder(SEMAPHORES)),
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _in_order,
                *renderers,
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=level, force=True)
    for name, floor in FLOORS.items():
        logging.getLogger(name).setLevel(floor)
    structlog.configure(
        processors=[*_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service)


def _in_order(_logger: WrappedLogger, _method: str, line: EventDict) -> EventDict:
    return {key: line[key] for key in (*FIRST, *sorted(line)) if key in line}


def _plain(_logger: WrappedLogger, _method: str, line: EventDict) -> EventDict:
    return {
        key: _seen(said, but="\n" if key in TRACES else "") if isinstance(said, str) else said
        for key, said in line.items()
    }


def _seen(text: str, but: str = "") -> str:
    """Escape characters that command a terminal, break a line, or reverse text, because tags and
    vendors' ids come from outside."""
    if text.isprintable():
        return text
    return "".join(s if s.isprintable() or s in but else json.dumps(s)[1:-1] for s in text)
