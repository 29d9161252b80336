"""The command line; a mistake is one clear line each, and nothing is started then."""

import asyncio
import os
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from pydantic import ValidationError
from rich.console import Console
from typer import Argument, Option
from typer.core import TyperGroup

from loadtest.books.raw import Damaged, RunFolder
from loadtest.judge.judge import judge as judge_run
from loadtest.judge.tried import unmet
from loadtest.prove import page
from loadtest.report.write import write_report
from loadtest.run.plan import Options, PlanError
from loadtest.run.session import command, replay, run_plan
from loadtest.settings import Settings
from loadtest.wire.stack import NotReachable
from shared.jobs.genvideo import GENVIDEO
from shared.texts import localized

PASSED, FAILED, USAGE, NOT_REACHABLE, INTERRUPTED = 0, 1, 2, 3, 130
# A CI is no terminal, even if its output looks like one.
_TERMINAL = False if os.environ.get("CI") else None
console = Console(force_terminal=_TERMINAL)
errors = Console(stderr=True, force_terminal=_TERMINAL)

# Each option is text here and is checked by the plan, all at once.
Text = str | None
Stages = Annotated[str, Option("--stages", help="Jobs per stage, such as 1,5,10; or 'ladder'.")]
Jobs = Annotated[Text, Option("--jobs", "-n", help="One stage of so many jobs.")]
Pipeline = Annotated[str, Option("--pipeline", help="Whose jobs: genvideo, or one of PIPELINES.")]
Seed = Annotated[Text, Option("--seed", help="Seed of the prompts; by default a new one.")]
Rate = Annotated[Text, Option("--rate", help="Open loop: 2/s or 90/min; else all at once.")]
Thresholds = Annotated[
    list[str] | None,
    Option("--threshold", "-t", help="Such as p95<60s; may be given several times."),
]
Timeout = Annotated[Text, Option("--timeout", help="Seconds a stage may take.")]
Stall = Annotated[Text, Option("--stall", help="Give up after so many seconds of silence.")]
Wide = Annotated[str, Option("--concurrency", help="Submissions under way at once.")]
OnVideo = Annotated[
    str, Option("--on-video-failure", help="What jobs ask for: fail, or image (degraded).")
]
Presets = Annotated[
    list[str] | None, Option("--preset", help="Arm the mocks' faults of this name.")
]
Faults = Annotated[list[str] | None, Option("--fault", help="Arm this rule (JSON) in the mocks.")]
Folder = Annotated[Path, Argument(help="A run's folder, such as reports/latest.")]
ReplayWith = Annotated[
    str, Option("--replay-with", help="A program that replays a folder of histories.")
]
Reset = Annotated[bool, Option("--reset", help="Empty the mocks' ledgers first.")]
Priorities = Annotated[bool, Option("--priorities", help="Draw a priority for each job.")]
Check = Annotated[bool, Option("--check", help="Look at the options, and run nothing.")]


class Commands(TyperGroup):
    """Prints the errors that any command can meet, and exits with their status."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except NotReachable as error:
            fail([f"not reachable: {problem}" for problem in error.problems], NOT_REACHABLE)
        except PlanError as error:
            for problem in error.problems:
                option, colon, mistake = problem.partition(": ")
                known = problem.startswith("--")
                complain(f"{option}{colon}{localized(mistake)}" if known else problem)
            raise typer.Exit(USAGE) from None
        except Damaged as error:
            fail([str(error)], USAGE)
        except OSError as error:
            if error.filename is None:
                raise
            fail([f"{error.filename2 or error.filename}: {error.strerror}"], USAGE)


app = typer.Typer(
    cls=Commands,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Runs jobs through the whole pipeline and judges what every book says about them.",
)


@app.command()
def run(
    jobs: Jobs = None,
    stages: Stages = "",
    pipeline: Pipeline = "genvideo",
    seed: Seed = None,
    rate: Rate = None,
    threshold: Thresholds = None,
    timeout: Timeout = None,
    stall: Stall = None,
    concurrency: Wide = "16",
    on_video_failure: OnVideo = "fail",
    preset: Presets = None,
    fault: Faults = None,
    reset: Reset = False,
    priorities: Priorities = False,
    replay_with: ReplayWith = "",
    check: Check = False,
) -> None:
    """Run one stage (--jobs) or several (--stages) and write a report; exits by the verdict."""
    if (jobs is None) == (stages == ""):
        fail(["give either --jobs N or --stages 1,5,10"], USAGE)
    # Several thresholds may share one option, as in `-t 'p95<60s lost==0'`.
    thresholds = " ".join(threshold or []).replace(",", " ").split()
    options = Options(
        stages=jobs if jobs is not None else stages,
        pipeline=pipeline,
        seed=seed,
        rate=rate,
        timeout=timeout,
        stall=stall,
        thresholds=tuple(thresholds),
        concurrency=concurrency,
        on_video_failure=on_video_failure,
        reset=reset,
        priorities=priorities,
        presets=tuple(preset or ()),
        faults=tuple(fault or ()),
    )
    settings = _settings()
    known = settings.known
    mocks = settings.mocks_of(known.get(pipeline, GENVIDEO))
    plan = options.plan(mocks=mocks, pipelines=tuple(known))
    if check:
        raise typer.Exit(PASSED)
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
        raise typer.Exit(INTERRUPTED)
    raise typer.Exit(NOT_REACHABLE if why.startswith("unreachable") else verdict)


@app.command()
def report(folder: Folder) -> None:
    """Judge and draw a run again from its raw records."""
    try:
        found = RunFolder.open(folder)
    except FileNotFoundError as error:
        fail([str(error)], USAGE)
    raise typer.Exit(_judge(found))


@app.command()
def prove(
    folder: Folder,
    seal: Annotated[bool, Option("--seal", help="All has been done: seal it.")] = False,
) -> None:
    """Judge and draw what the parts of `make prove` have left behind, as one."""
    found = page.drawn(folder, seal=seal)
    say("\n".join(found.lines))
    raise typer.Exit(found.status)


def _settings() -> Settings:
    try:
        return Settings()
    except ValidationError as error:
        fail([f"{'.'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors()], USAGE)


def _judge(folder: RunFolder) -> int:
    judgement = judge_run(folder)
    write_report(folder, judgement)
    style = "bold green" if judgement.passed else "bold red"
    console.print(localized(judgement.headline), style=style, highlight=False)
    for line in judgement.reasons:
        say(f"  {line}")
    if text := unmet(judgement):
        say(text)
    say(f"report: {folder.path / 'report.html'}")
    say(f"seal: {judgement.books.seal.root}")
    for name, count in sorted(judgement.books.torn.items()):
        complain(f"damaged: {folder.raw / name}, {count} line(s)")
    if judgement.books.torn:
        return USAGE
    return PASSED if judgement.passed else FAILED


def say(text: str) -> None:
    """Print text in the shell's language."""
    console.print(localized(text), markup=False, highlight=False, soft_wrap=True)


def complain(text: str) -> None:
    """Print an error in the shell's language."""
    errors.print(localized(text), style="red", markup=False, highlight=False, soft_wrap=True)


def fail(problems: list[str], status: int) -> NoReturn:
    """Print each problem and exit."""
    for problem in problems:
        complain(problem)
    raise typer.Exit(status)
