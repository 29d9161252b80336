"""How a line of our logs looks, and what libraries may say in them of their own."""

import json
import subprocess
import sys

import pytest

_SAYS = """
import logging
from shared.telemetry import logs
logs.configure(service="worker", level="DEBUG", form="json")
logging.getLogger({logger!r}).debug("> X-API-Key: geheim")
logging.getLogger("services.worker").debug("ours")
"""


@pytest.mark.parametrize("logger", ["websockets.client", "httpcore.http11", "httpx"])
def test_the_headers_that_let_us_in_are_in_no_log(logger: str) -> None:
    code = _SAYS.format(logger=logger)
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "ours" in said.stdout
    assert "geheim" not in said.stdout + said.stderr


def test_every_line_has_its_keys_in_one_order() -> None:
    code = """
import structlog
from shared.telemetry import logs
logs.configure(service="worker", level="INFO", form="json")
log = structlog.get_logger("a.logger")
log.info("plain", zebra=1, attempt=2)
with structlog.contextvars.bound_contextvars(job_id="job-1"):
    log.warning("of a job", attempt=1, zebra=2)
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    first, second = (list(json.loads(line)) for line in said.stdout.splitlines())
    rest = ["attempt", "logger", "zebra"]
    assert first == ["timestamp", "level", "service", "event", *rest]
    assert second == ["timestamp", "level", "service", "event", "job_id", *rest]
