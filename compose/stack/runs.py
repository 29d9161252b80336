"""Runs the load test against the stack; what make was told becomes its options."""

from collections.abc import Mapping

from compose.stack import stack
from compose.stack.command import capture
from compose.stack.errors import StackError
from compose.stack.settings import Settings

# make's variable -> the load test's option; `ladder` takes the first group alone.
_ANY = {
    "SEED": "--seed",
    "THRESHOLDS": "--threshold",
    "TIMEOUT": "--timeout",
    "ON_VIDEO_FAILURE": "--on-video-failure",
    "PRESET": "--preset",
    "RULE": "--fault",
    "BASELINE": "--baseline",
}
_ONE_STAGE = {"RATE": "--rate", "STALL": "--stall", "CONCURRENCY": "--concurrency"}


def jobs(settings: Settings, number: str, environ: Mapping[str, str]) -> int:
    """Run N jobs; returns the load test's exit status, which is its verdict."""
    if not (number.isascii() and number.isdecimal() and int(number) >= 1):
        raise StackError(
            f"make test-{number}: N must be a whole number from 1 on, as in make test-20"
        )
    options = _options(environ, {**_ANY, **_ONE_STAGE})
    return _run(settings, ["run", "--jobs", str(int(number)), *options], environ)


def ladder(settings: Settings, environ: Mapping[str, str]) -> int:
    """Run all stages into one report."""
    return _run(settings, ["ladder", *_options(environ, _ANY)], environ)


def _options(environ: Mapping[str, str], known: Mapping[str, str]) -> list[str]:
    given = [
        word
        for name, option in known.items()
        if environ.get(name)
        for word in (option, environ[name])
    ]
    return given + (["--reset"] if environ.get("RESET") == "1" else [])


def _run(settings: Settings, arguments: list[str], environ: Mapping[str, str]) -> int:
    ready = stack.ensure(settings)
    return stack.runner(ready).loadtest(arguments, _handed(settings, environ))


def _handed(settings: Settings, environ: Mapping[str, str]) -> dict[str, str]:
    """What the load test's display and report look at, and which code it was (no git in there)."""
    names = ("NO_COLOR", "CI", "GIT_COMMIT", "TERM")
    described = capture(
        ["git", "describe", "--always", "--dirty", "--abbrev=12"], cwd=settings.root
    )
    commit = {"GIT_COMMIT": described.out.strip()} if described.good else {}
    return commit | {name: environ[name] for name in names if name in environ}
