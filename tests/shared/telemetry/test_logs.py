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


@pytest.mark.parametrize(
    "logger", ["websockets.client", "httpcore.http11", "httpx", "uvicorn.error"]
)
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


HOSTILE = "a\x1b[31m\x9b2J\r\nforged=1\u202eb\u2028c\u200b\ud800\U000e0041 狐狸 é🦊"
_HOSTILE = """
import logging
from shared.telemetry import logs
import structlog
logs.configure(service="api", level="INFO", form={form!r})
hostile = {hostile!r}
structlog.get_logger("a").info("of " + hostile, tag=hostile, ids=[hostile])
logging.getLogger("library").warning("a library of %s", hostile)
try:
    raise ValueError(hostile)
except ValueError:
    structlog.get_logger("a").exception("failed")
"""


@pytest.mark.parametrize("form", ["json", "console"])
def test_other_peoples_words_command_no_terminal_and_forge_no_line(form: str) -> None:
    code = _HOSTILE.format(form=form, hostile=HOSTILE)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, env={"PYTHONUTF8": "1"}
    )
    said = done.stdout.decode()
    assert done.stderr == b""
    assert all(line.isprintable() for line in said.split("\n")), said
    lines = said.splitlines()
    assert not any(line.startswith("forged") for line in lines[:2])
    assert "狐狸 é🦊" in lines[0]
    if form == "json":
        told, by_library, _ = map(json.loads, lines)
        assert (told["tag"], told["ids"]) == (HOSTILE, [HOSTILE])
        assert by_library["event"] == f"a library of {HOSTILE}"
