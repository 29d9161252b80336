"""Log lines: their form and their keys."""

import json
import subprocess
import sys

import pytest


def logged(code: str, *, level: str = "INFO", form: str = "json") -> str:
    """What a process prints that configures its log and runs this code; nothing on stderr."""
    begin = f"""
import logging
import structlog
from shared.telemetry import logs
logs.configure(service="worker", level={level!r}, form={form!r})
"""
    done = subprocess.run(
        [sys.executable, "-c", begin + code],
        capture_output=True,
        check=True,
        env={"PYTHONUTF8": "1"},
    )
    assert done.stderr == b""
    return done.stdout.decode()


def test_credentials_are_in_no_log() -> None:
    said = logged(
        """
for name in ("websockets.client", "httpcore.http11", "httpx", "uvicorn.error"):
    logging.getLogger(name).debug("> X-API-Key: geheim")
logging.getLogger("services.worker").debug("ours")
""",
        level="DEBUG",
    )
    assert "ours" in said
    assert "geheim" not in said


def test_line_of_the_semaphore_library_has_its_fields() -> None:
    said = logged("""
from shared.semaphore.activities import log
log.info("granted", extra={"semaphore": "video", "job_id": "job-1", "token": 7})
""")
    line = json.loads(said)
    assert (line["semaphore"], line["job_id"], line["token"]) == ("video", "job-1", 7)


HOSTILE = "a\x1b[31m\x9b2J\r\nforged=1\u202eb\u2028c\u200b\ud800\U000e0041 狐狸 é🦊"
_HOSTILE = f"""
hostile = {HOSTILE!r}
structlog.get_logger("a").info("of " + hostile, tag=hostile, ids=[hostile])
logging.getLogger("library").warning("a library of %s", hostile)
try:
    raise ValueError(hostile)
except ValueError:
    structlog.get_logger("a").exception("failed")
"""


@pytest.mark.parametrize("form", ["json", "console"])
def test_outside_text_cannot_control_a_terminal_or_forge_a_line(form: str) -> None:
    said = logged(_HOSTILE, form=form)
    assert all(line.isprintable() for line in said.split("\n")), said
    lines = said.splitlines()
    assert not any(line.startswith("forged") for line in lines[:2])
    assert "狐狸 é🦊" in lines[0]
    if form == "json":
        told, by_library, _ = map(json.loads, lines)
        assert (told["tag"], told["ids"]) == (HOSTILE, [HOSTILE])
        assert by_library["event"] == f"a library of {HOSTILE}"
