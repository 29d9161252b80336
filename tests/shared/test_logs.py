"""What libraries say of their own, down to which our logs hear them."""

import subprocess
import sys

import pytest

_SAYS = """
import logging
from shared import logs
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
