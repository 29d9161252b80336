"""Runs the load test against the stack; make's variables become its options."""

import re
import shlex
from collections.abc import Iterable, Mapping

from compose.stack import choice
from compose.stack.commands import lifecycle
from compose.stack.output import StackError, shown
from compose.stack.settings import Settings
from compose.stack.subprocesses import capture

# make's variable -> the load test's option; `ladder` takes only the first group.
_ANY = {
    "PIPELINE": "--pipeline",
    "SEED": "--seed",
    "THRESHOLDS": "--threshold",
    "TIMEOUT": "--timeout",
    "ON_VIDEO_FAILURE": "--on-video-failure",
    "PRESET": "--preset",
    "RULE": "--fault",
}
_ONE_STAGE = {"RATE": "--rate", "STALL": "--stall", "CONCURRENCY": "--concurrency"}
_SWITCHES = {"RESET": "--reset", "PRIORITIES": "--priorities"}
# A run's name is its folder below REPORTS_DIR; a path would mean another place in a container.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
# Settings that decide how jobs run. Ports and secrets of a stack do not belong to the run.
_SHAPING = re.compile(
    r"WORKERS|MOCKS|GATES|PIPELINES|MOCK_\w+|COMFYUI_WORKERS|KLING_PLACES|KLING_DUPLICATES|\w+_SECONDS"
)


def jobs(settings: Settings, number: str, environ: Mapping[str, str]) -> int:
    """Run N jobs; returns the load test's exit status, which is its verdict."""
    if not re.fullmatch("0*[1-9][0-9]{0,17}", number):
        raise StackError(
            f"make test-{shown(number)}: N must be a whole number from 1 on, as in make test-20"
        )
    count, known = str(int(number)), {**_ANY, **_ONE_STAGE}
    arguments = ["run", "--jobs", count, *_options(environ, known)]
    return _replayed(settings, f"test-{count}", environ, arguments=arguments, known=known)


def ladder(settings: Settings, environ: Mapping[str, str]) -> int:
    """Run all stages into one report."""
    arguments = ["run", "--stages", "ladder", *_options(environ, _ANY)]
    return _replayed(settings, "ladder", environ, arguments=arguments, known=_ANY)


def report(settings: Settings, environ: Mapping[str, str]) -> int:
    """Judge and draw a run again from its raw records; RUN is its name, by default the latest."""
    run = environ.get("RUN") or "latest"
    if not _NAME.fullmatch(run):
        raise StackError(f"RUN={shown(run)}: give a run's name, such as latest, not a path")
    stack = choice.prepared(settings)
    return stack.loadtest(["report", f"{stack.reports}/{run}"], _handed(settings, environ))


def _options(environ: Mapping[str, str], known: Mapping[str, str]) -> list[str]:
    asked = [option for name, option in _SWITCHES.items() if environ.get(name) == "1"]
    return _given(environ, known) + asked


def _given(environ: Mapping[str, str], known: Mapping[str, str]) -> list[str]:
    return [
        word
        for name, option in known.items()
        if environ.get(name)
        for word in (option, environ[name])
    ]


def _replayed(
    settings: Settings,
    target: str,
    environ: Mapping[str, str],
    *,
    arguments: list[str],
    known: Mapping[str, str],
) -> int:
    """Run the load test, then replay its histories with the worker's code, which the load test
    lacks.

    Its report prints the make line that repeats it: `target` with the `known` options. Nothing is
    started or changed if an option is wrong.
    """
    handed = _handed(settings, environ)
    if not lifecycle.is_as_asked(settings):
        stack = choice.prepared(settings)
        if status := stack.loadtest([*arguments, "--check"], handed):
            return status
        settings = lifecycle.renewed(choice.settled(settings, stack))
    stack = choice.chosen(settings)
    pipeline = environ.get("PIPELINE", "")
    workflows = [each.workflow for each in settings.further if each.name == pipeline]
    replay = [stack.python, "-m", "services.worker.replay", *workflows]
    program = ["--replay-with", shlex.join(replay)]
    options = [*known, *(name for name, option in _SWITCHES.items() if option in arguments)]
    line = make_line(target, settings, environ, options=options)
    return stack.loadtest([*arguments, *program], handed | {"MAKE_LINE": line})


def make_line(
    target: str, settings: Settings, environ: Mapping[str, str], *, options: Iterable[str]
) -> str:
    """Return the make line that repeats a run, for its report.

    It is `make TARGET` with the given options, and the overrides of the stack.
    """
    given = {name: environ[name] for name in options if environ.get(name)}
    overrides = {
        name: value
        for name, value in sorted(settings.overrides.items())
        if _SHAPING.fullmatch(name)
    }
    assignments = (f"{name}={shlex.quote(value)}" for name, value in (given | overrides).items())
    return " ".join(["make", target, *assignments])


def _handed(settings: Settings, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of the load test's display and report, with the commit (it has no
    git)."""
    names = ("NO_COLOR", "CI", "GIT_COMMIT", "TERM", "LC_ALL", "LC_MESSAGES", "LANG", "LANGUAGE")
    described = capture(
        ["git", "describe", "--always", "--dirty", "--abbrev=12"], cwd=settings.root
    )
    commit = {"GIT_COMMIT": described.out.strip()} if described.good else {}
    return commit | {name: environ[name] for name in names if name in environ}
