"""Whoever opens the API to other machines needs a token; the receiver needs none."""

import os
import subprocess
from pathlib import Path

import pytest

from compose.stack.errors import USAGE, StackError
from compose.stack.preflight import exposure
from tests.compose.stack.conftest import ROOT, Load

TOKEN = "x" * 16


@pytest.mark.parametrize(
    ("environ", "name"),
    [
        ({"BIND_ADDRESS": "0.0.0.0"}, "BIND_ADDRESS=0.0.0.0"),
        ({"BIND_ADDRESS": "127.0.0.1", "API_BIND_ADDRESS": "::"}, "API_BIND_ADDRESS=::"),
        ({"API_BIND_ADDRESS": "10.1.2.3", "API_TOKEN": ""}, "API_BIND_ADDRESS=10.1.2.3"),
    ],
)
def test_without_a_token_the_api_stays_on_loopback(
    settings: Load, environ: dict[str, str], name: str
) -> None:
    with pytest.raises(StackError) as caught:
        exposure.check(settings(**environ))
    said = str(caught.value)
    assert said.startswith(f"wrong settings: {name} (environment) opens the API")
    for way in ("API_TOKEN", "API_BIND_ADDRESS=127.0.0.1", "CALLBACK_BIND_ADDRESS"):
        assert way in said
    assert "\n" not in said


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"BIND_ADDRESS": "0.0.0.0", "API_TOKEN": TOKEN},
        {"BIND_ADDRESS": "0.0.0.0", "API_BIND_ADDRESS": "127.0.0.1"},
        {"CALLBACK_BIND_ADDRESS": "0.0.0.0"},
        {"API_BIND_ADDRESS": "::1"},
        {"API_BIND_ADDRESS": "127.0.0.2"},
    ],
)
def test_what_needs_no_token_or_has_one(settings: Load, environ: dict[str, str]) -> None:
    exposure.check(settings(**environ))


def test_make_up_refuses_before_anything_is_made_ready(tmp_path: Path) -> None:
    done = subprocess.run(
        ["make", "up", "BIND_ADDRESS=0.0.0.0", f"DATA_DIR={tmp_path / 'data'}"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == USAGE
    [line] = [each for each in done.stderr.splitlines() if "make: ***" not in each]
    assert "BIND_ADDRESS=0.0.0.0 (environment) opens the API" in line
    assert not (tmp_path / "data").exists()
