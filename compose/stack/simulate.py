"""Runs the simulation; what make was told becomes its options."""

from collections.abc import Mapping
from pathlib import Path

from compose.stack.checks import Checks
from compose.stack.command import hand_over
from compose.stack.errors import StackError
from compose.stack.venv import Venv

MINUTES = "10"


def simulate(root: Path, environ: Mapping[str, str]) -> int:
    """MINUTES of histories, their seeds from SEED on; returns 0 when no rule was broken, else 1."""
    options = _options(environ)
    venv = Venv(root)
    venv.need("dev")
    return hand_over([str(venv.python), "-m", "tests.simulation", *options], cwd=root)


def _options(environ: Mapping[str, str]) -> list[str]:
    """The simulation's options; one line names everything that is wrong."""
    given = {name: value for name, value in environ.items() if value}
    checks = Checks(given, dict.fromkeys(given, "environment"))
    number = r"0*[1-9]\d{0,3}(\.\d+)?|0?\.\d*[1-9]\d*"
    minutes = checks.fits("MINUTES", MINUTES, number, what="a number of minutes above 0")
    seed = checks.fits("SEED", "0", r"\d{1,15}", what="a whole number of at most 15 digits")
    if checks.wrong:
        raise StackError("wrong settings: " + "; ".join(checks.wrong))
    return ["--minutes", minutes, *(["--seed", seed] if "SEED" in given else [])]
