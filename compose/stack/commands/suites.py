"""The test suites; what make was told becomes their options."""

import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from compose.stack.errors import StackError
from compose.stack.output import shown
from compose.stack.settings.checks import Checks
from compose.stack.subprocesses import hand_over

CHAOS_MINUTES = "5"
SIMULATION_MINUTES = "10"
# Only processes have a wire of ours to cut, so they are the default here.
CHAOS_MODES = ("local", "docker")
CHAOS_DECKS = ("all", "kills")
_MINUTES = r"0*[1-9]\d{0,3}(\.\d+)?|0?\.\d*[1-9]\d*"
# Most of a test's time is waiting. With five, the two cores are never idle, and nothing is faster.
SIDE_BY_SIDE = ["-n", "4", "--dist", "loadscope", "--no-loadscope-reorder"]


def test(root: Path, environ: Mapping[str, str]) -> int:
    """Every automated test, side by side; with ARGS for pytest, one after the other."""
    given = environ.get("ARGS", "")
    try:
        words = shlex.split(given)
    except ValueError:
        raise StackError(f"ARGS={shown(given)} has a quote that is left open") from None
    return _run(root, "pytest", words or SIDE_BY_SIDE)


def chaos(root: Path, environ: Mapping[str, str]) -> int:
    """MINUTES of strikes from a SEED, on a stack of its own; 0 when no rule was broken, else 1.

    With DECK=kills each part of the stack is killed once, and MINUTES says nothing.
    """
    checks = _Options(environ)
    minutes, seed = checks.minutes(CHAOS_MINUTES), checks.seed(digits=9)
    auto = checks.given.get("MODE") == "auto"
    mode = "local" if auto else checks.choice("MODE", "local", CHAOS_MODES)
    deck = checks.choice("DECK", "all", CHAOS_DECKS)
    checks.raise_if_wrong()
    reports = checks.given.get("REPORTS_DIR", "reports")
    options = [*minutes, "--deck", deck, "--mode", mode, "--reports", reports, *seed]
    return _run(root, "tests.chaos", options)


def pictures(root: Path) -> int:
    """The documentation's pictures, of a stack of its own."""
    return _run(root, "tools.pictures", [])


def simulate(root: Path, environ: Mapping[str, str]) -> int:
    """MINUTES of histories, or so many HISTORIES, their seeds from SEED on; 0 when no rule was
    broken, else 1.

    Strikes are of those KINDS, and the options of MIX are not drawn, where they are given.
    """
    checks = _Options(environ)
    options = [*checks.minutes(SIMULATION_MINUTES), *checks.seed(digits=15)]
    options += checks.given_as("HISTORIES", r"0*[1-9]\d{0,8}", what="a whole number from 1 on")
    options += checks.given_as("KINDS", r"[a-z_]+(,[a-z_]+)*", what="a list such as cancel,reset")
    each = r"[a-z_]+=[\d.]+"
    options += checks.given_as("MIX", f"{each}( {each})*", what="a list such as jobs=5 slow=0.1")
    checks.raise_if_wrong()
    return _run(root, "tests.simulation", options)


class _Options(Checks):
    """What was given for a suite, checked one by one."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.given = {name: value for name, value in environ.items() if value}
        super().__init__(self.given, dict.fromkeys(self.given, "environment"))

    def minutes(self, default: str) -> list[str]:
        """The option of the duration."""
        wanted = self.fits("MINUTES", default, _MINUTES, what="a number of minutes above 0")
        return ["--minutes", wanted]

    def seed(self, *, digits: int) -> list[str]:
        """The option of the seed; none where none was given, for the suite to draw one."""
        what = f"a whole number of at most {digits} digits"
        return self.given_as("SEED", rf"\d{{1,{digits}}}", what=what)

    def given_as(self, name: str, pattern: str, *, what: str) -> list[str]:
        """The option of that name, where it is given."""
        if name not in self.given:
            return []
        return [f"--{name.lower()}", self.fits(name, "", pattern, what=what)]


def _run(root: Path, module: str, options: Sequence[str]) -> int:
    return hand_over([sys.executable, "-m", module, *options], cwd=root)
