"""The command line; a mistake is one clear line each, and nothing is started then."""

import asyncio
import errno
import os
from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from rich.console import Console

from loadtest.books.raw import Damaged, RunFolder
from loadtest.judge.judge import judge as judge_run
from loadtest.judge.tried import unmet
from loadtest.report.write import write_report
from loadtest.run.plan import PlanError, planned
from loadtest.run.session import command, replay, run_plan
from loadtest.settings import Settings
from loadtest.wire.stack import NotReachable
from shared.jobs.genvideo import GENVIDEO
from shared.settings.common import mistakes_of
from shared.texts import localized

PASSED, FAILED, USAGE, NOT_REACHABLE, INTERRUPTED = 0, 1, 2, 3, 130
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# A CI is no terminal, even if its output looks like one.
_TERMINAL = False if os.environ.get("CI") else None


class _Console(Console):
    """Stops writing when its pipe or terminal is closed, which costs no run."""

    def print(self, *args: Any, **kwargs: Any) -> None:
        try:
            super().print(*args, **kwargs)
        except OSError:
            silence = os.open(os.devnull, os.O_WRONLY)
            os.dup2(silence, self.file.fileno())

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


console = _Console(force_terminal=_TERMINAL)
errors = _Console(stderr=True, force_terminal=_TERMINAL)
# The options of a run are text; the plan checks all of them at once.
_TEXTS = {
    "--pipeline": "whose jobs: genvideo, or one of PIPELINES",
    "--seed": "seed of the prompts; by default a new one",
    "--rate": "open loop: 2/s or 90/min; otherwise all at once",
    "--timeout": "seconds that a stage may take",
    "--stall": "give up after so many seconds of silence",
    "--concurrency": "submissions at once",
    "--on-video-failure": "fail, or image (degraded)",
}
_FLAGS = {
    "--reset": "empty the mocks' ledgers first",
    "--priorities": "draw a priority for each job",
    "--check": "check the options, and run nothing",
}


def main(arguments: Sequence[str]) -> int:
    parser = ArgumentParser(
        prog="python -m loadtest",
        description="Run jobs through the whole pipeline, and judge what every book says of them.",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(required=True)

    def add(function: Callable[..., int]) -> ArgumentParser:
        added = commands.add_parser(function.__name__, help=function.__doc__, allow_abbrev=False)
        added.set_defaults(function=function)
        return added

    running, reporting = add(run), add(report)
    stages = running.add_mutually_exclusive_group(required=True)
    stages.add_argument("--jobs", dest="stages", help="one stage of so many jobs")
    stages.add_argument("--stages", help="jobs of each stage, such as 1,5,10; or 'ladder'")
    for name, says in _TEXTS.items():
        running.add_argument(name, help=says)
    # Several thresholds may share one option, as in `--threshold 'p95<60s lost==0'`.
    running.add_argument("--threshold", action="append", default=[], help="such as p95<60s")
    running.add_argument(
        "--preset", action="append", default=[], help="arm the faults of this name"
    )
    running.add_argument("--fault", action="append", default=[], help="arm this rule (JSON)")
    running.add_argument("--replay-with", default="", help="a program that replays histories")
    for name, says in _FLAGS.items():
        running.add_argument(name, action="store_true", help=says)
    reporting.add_argument("folder", type=Path, help="a run's folder, such as reports/latest")
    asked = vars(parser.parse_args(arguments))
    try:
        status: int = asked.pop("function")(**asked)
    except NotReachable as error:
        return fail([f"not reachable: {problem}" for problem in error.problems], NOT_REACHABLE)
    except PlanError as error:
        parts = (problem.partition(": ") for problem in error.problems)
        return fail([f"{name}{colon}{localized(mistake)}" for name, colon, mistake in parts], USAGE)
    except Damaged as error:
        return fail([str(error)], USAGE)
    except OSError as error:
        name = error.filename2 or error.filename
        if error.errno in _NO_ROOM:
            # The system names no file.
            name = name or "reports"
        if error.strerror and name is None:
            raise
        # A folder without a run has only a text.
        return fail([f"{name}: {error.strerror}" if name else str(error)], USAGE)
    except KeyboardInterrupt:
        return INTERRUPTED
    return status


def run(
    *,
    stages: str,
    threshold: list[str],
    preset: list[str],
    fault: list[str],
    replay_with: str,
    check: bool,
    **given: str | bool | None,
) -> int:
    """Run one stage or several, and write a report; exit by the verdict."""
    try:
        settings = Settings()
    except ValidationError as error:
        return fail([f"{name}: {mistake}" for name, mistake in mistakes_of(error)], USAGE)
    known = settings.known
    plan = planned(
        stages,
        pipelines=tuple(known),
        mocks=settings.mocks_of(known.get(str(given["pipeline"]), GENVIDEO)),
        thresholds=" ".join(threshold).replace(",", " ").split(),
        presets=preset,
        faults=fault,
        **given,
    )
    if check:
        return PASSED
    folder, why = asyncio.run(run_plan(settings, plan, command=command(plan.seed), console=console))
    folder.point_latest()
    try:
        if replay_with:
            replay(folder, replay_with)
    except KeyboardInterrupt:
        # The run is whole: its report says that it was not replayed.
        why = "interrupted"
    verdict = _judge(folder)
    if why == "interrupted":
        return INTERRUPTED
    return NOT_REACHABLE if why.startswith("unreachable") else verdict


def report(folder: Path) -> int:
    """Judge and draw a run again from its raw records."""
    return _judge(RunFolder.open(folder))


def _judge(folder: RunFolder) -> int:
    judgement = judge_run(folder)
    write_report(folder, judgement)
    style = "bold green" if judgement.passed else "bold red"
    say(judgement.headline, style)
    for line in judgement.reasons:
        say(f"  {line}")
    if text := unmet(judgement):
        say(text)
    say(f"report: {folder.path / 'report.html'}")
    say(f"seal: {judgement.books.seal.root}")
    if torn := judgement.books.torn:
        lines = [f"damaged: {folder.path / name}, {n} line(s)" for name, n in sorted(torn.items())]
        return fail(lines, USAGE)
    return PASSED if judgement.passed else FAILED


def say(text: str, style: str | None = None) -> None:
    console.print(localized(text), style=style, markup=False, highlight=False, soft_wrap=True)


def fail(problems: list[str], status: int) -> int:
    """Print each problem in the shell's language, and return the exit status."""
    for text in map(localized, problems):
        errors.print(text, style="red", markup=False, highlight=False, soft_wrap=True)
    return status
