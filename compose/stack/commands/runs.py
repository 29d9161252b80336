"""Run the load test against the stack; make's variables become its options."""

import re
import shlex
import sys
from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel

from compose.stack import modes
from compose.stack.commands import lifecycle
from compose.stack.given import options
from compose.stack.output import StackError, colour_wanted, shown
from compose.stack.settings import Settings
from compose.stack.subprocesses import capture

# make's variable -> the load test's option; `ladder` takes only the first group.
_OPTIONS = {
    "PIPELINE": "--pipeline",
    "SEED": "--seed",
    "THRESHOLDS": "--threshold",
    "TIMEOUT": "--timeout",
    "ON_VIDEO_FAILURE": "--on-video-failure",
    "PRESET": "--preset",
    "RULE": "--fault",
    "RATE": "--rate",
    "STALL": "--stall",
    "CONCURRENCY": "--concurrency",
}
# Settings that decide how jobs run. Ports and secrets of a stack do not belong to the run.
_SHAPING = re.compile(r"WORKERS|MOCKS|GATES|PIPELINES|MOCK_\w+|\w+_SECONDS")


class Switches(BaseModel):
    """Empty the mocks' ledgers first; draw a priority for each job."""

    reset: Literal["0", "1"] = "0"
    priorities: Literal["0", "1"] = "0"


def jobs(settings: Settings, number: str, environ: Mapping[str, str]) -> int:
    """Run N jobs; return the load test's exit status, which is its verdict."""
    if not re.fullmatch("0*[1-9][0-9]{0,17}", number):
        raise StackError(
            f"make test-{shown(number)}: N must be a whole number from 1 on, as in make test-20"
        )
    count = str(int(number))
    return _replayed(settings, f"test-{count}", environ, ["run", "--jobs", count])


def ladder(settings: Settings, environ: Mapping[str, str]) -> int:
    return _replayed(settings, "ladder", environ, ["run", "--stages", "ladder"])


def report(settings: Settings, environ: Mapping[str, str]) -> int:
    """Judge and draw a run again from its raw records; RUN is its name, by default the latest."""
    run = environ.get("RUN") or "latest"
    # Its name is its folder below REPORTS_DIR; a path would mean another place in a container.
    if not re.fullmatch("[A-Za-z0-9][A-Za-z0-9._-]*", run):
        raise StackError(f"RUN={shown(run)}: give a run's name, such as latest, not a path")
    stack = modes.prepared(settings)
    return stack.loadtest(["report", f"{stack.reports}/{run}"], _handed(settings, environ))


def _replayed(settings: Settings, target: str, environ: Mapping[str, str], words: list[str]) -> int:
    """Bring the stack up with the present code and settings, run the load test, then replay its
    histories with the worker's code, which the load test lacks.

    Its options are those of `_OPTIONS` with their values, and the switches that are 1. Its report
    prints the make line that repeats it. Nothing is started or changed if an option is wrong.
    """
    given = [name for name in _OPTIONS if environ.get(name)]
    asked = [name for name, value in options(Switches, environ) if value == "1"]
    passed = [word for name in given for word in (_OPTIONS[name], environ[name])]
    arguments = [*words, *passed, *(f"--{name}" for name in asked)]
    handed = _handed(settings, environ)
    stack = modes.prepared(settings)
    settings = stack.settings
    if status := stack.loadtest([*arguments, "--check"], handed):
        return status
    # The mode is not chosen again.
    lifecycle.up(settings.model_copy(update={"mode": stack.mode}))
    pipeline = environ.get("PIPELINE", "")
    workflows = [each.workflow for each in settings.further if each.name == pipeline]
    replay = [stack.python, "-m", "services.worker.replay", *workflows]
    program = ["--replay-with", shlex.join(replay)]
    # It repeats the run: with its options, and the overrides of the stack.
    said = {name: environ[name] for name in (*given, *map(str.upper, asked))}
    said |= {name: v for name, v in sorted(settings.overrides.items()) if _SHAPING.fullmatch(name)}
    line = " ".join(["make", target, *(f"{name}={shlex.quote(v)}" for name, v in said.items())])
    return stack.loadtest([*arguments, *program], handed | {"MAKE_LINE": line})


def _handed(settings: Settings, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the load test's environment, with the commit, because its container has no git."""
    names = ("NO_COLOR", "CI", "GIT_COMMIT", "TERM", "LC_ALL", "LC_MESSAGES", "LANG", "LANGUAGE")
    described = capture(
        ["git", "describe", "--always", "--dirty", "--abbrev=12"], cwd=settings.root
    )
    commit = {"GIT_COMMIT": described.out.strip()} if described.good else {}
    # The SDK colours its warnings in a file, too.
    plain = {} if colour_wanted(sys.stderr) else {"NO_COLOR": "1"}
    return commit | plain | {name: environ[name] for name in names if name in environ}
