"""The command line; a mistake is one clear line each, and nothing is started then."""

import asyncio
import shlex
import signal
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from pydantic import ValidationError
from rich.console import Console

from loadtest.judge.judge import judge
from loadtest.live import display
from loadtest.plan import Plan, PlanError, build_plan
from loadtest.raw import RunFolder
from loadtest.reach import NotReachable, check
from loadtest.report.write import write_report
from loadtest.run import Run, open_stack
from loadtest.settings import Settings

PASSED, FAILED, USAGE, NOT_REACHABLE, INTERRUPTED = 0, 1, 2, 3, 130

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Runs jobs through the whole pipeline and judges what every book says about them.",
)
console = Console()
errors = Console(stderr=True)

Stages = Annotated[
    str, typer.Option("--stages", help="Jobs per stage, such as 1,5,10; or 'ladder'.")
]
Jobs = Annotated[str | None, typer.Option("--jobs", "-n", help="One stage of so many jobs.")]
Seed = Annotated[
    int | None, typer.Option("--seed", help="Seed of the prompts; by default a new one.")
]
Rate = Annotated[
    str | None, typer.Option("--rate", help="Open loop: 2/s or 90/min; else all at once.")
]
Thresholds = Annotated[
    list[str] | None,
    typer.Option("--threshold", "-t", help="Such as p95<60s; may be given several times."),
]
Timeout = Annotated[str | None, typer.Option("--timeout", help="Seconds a stage may take.")]
Stall = Annotated[
    str | None, typer.Option("--stall", help="Give up after so many seconds of silence.")
]
Wide = Annotated[str, typer.Option("--concurrency", help="Submissions under way at once.")]
OnVideo = Annotated[
    str, typer.Option("--on-video-failure", help="What jobs ask for: fail, or image (degraded).")
]
Reset = Annotated[bool, typer.Option("--reset", help="Empty the mocks' ledgers first.")]


@app.command()
def run(
    jobs: Jobs = None,
    stages: Stages = "",
    seed: Seed = None,
    rate: Rate = None,
    threshold: Thresholds = None,
    timeout: Timeout = None,
    stall: Stall = None,
    concurrency: Wide = "16",
    on_video_failure: OnVideo = "fail",
    reset: Reset = False,
) -> None:
    """Run one stage (--jobs) or several (--stages) and write a report; exits by the verdict."""
    if (jobs is None) == (stages == ""):
        _fail(["give either --jobs N or --stages 1,5,10"], USAGE)
    settings = _settings()
    try:
        plan = build_plan(
            stages=jobs if jobs is not None else stages,
            seed=seed,
            rate=rate,
            timeout=timeout,
            stall=stall,
            thresholds=_split(threshold),
            concurrency=concurrency,
            on_video_failure=on_video_failure,
            mocked=settings.mocked,
            reset=reset,
        )
    except PlanError as error:
        _fail(error.problems, USAGE)
    raise typer.Exit(_run(settings, plan))


@app.command()
def ladder(
    seed: Seed = None,
    threshold: Thresholds = None,
    timeout: Timeout = None,
    on_video_failure: OnVideo = "fail",
    reset: Reset = False,
) -> None:
    """Run the stages 1, 5, 10, 20, 50 and 100 into one report."""
    run(
        stages="ladder",
        seed=seed,
        threshold=threshold,
        timeout=timeout,
        on_video_failure=on_video_failure,
        reset=reset,
    )


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="A run's folder, such as reports/latest.")],
) -> None:
    """Judge and draw a run again from its raw records."""
    try:
        raise typer.Exit(_judge(RunFolder.open(folder)))
    except FileNotFoundError as error:
        _fail([str(error)], USAGE)


def _run(settings: Settings, plan: Plan) -> int:
    try:
        folder, why = asyncio.run(_go(settings, plan))
    except NotReachable as error:
        _fail([f"not reachable: {problem}" for problem in error.problems], NOT_REACHABLE)
    verdict = _judge(folder)
    if why == "interrupted":
        return INTERRUPTED
    return NOT_REACHABLE if why.startswith("unreachable") else verdict


async def _go(settings: Settings, plan: Plan) -> tuple[RunFolder, str]:
    temporal, version = await check(settings)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with open_stack(settings, temporal, version) as stack:
        a_run = Run(stack, plan, command=_command())
        folder = await a_run.go(display(console, plan.stages), stop)
    return folder, a_run.why


def _judge(folder: RunFolder) -> int:
    judgement = judge(folder)
    write_report(folder, judgement)
    folder.point_latest()
    style = "bold green" if judgement.passed else "bold red"
    console.print(judgement.headline, style=style, highlight=False)
    for line in judgement.reasons:
        console.print(f"  {line}", markup=False, highlight=False, soft_wrap=True)
    console.print(f"report: {folder.path / 'report.html'}", markup=False, soft_wrap=True)
    return PASSED if judgement.passed else FAILED


def _settings() -> Settings:
    try:
        return Settings()
    except ValidationError as error:
        _fail(
            [f"{'.'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors()], USAGE
        )


def _split(thresholds: list[str] | None) -> tuple[str, ...]:
    """Several thresholds may share one option, as in `-t 'p95<60s lost==0'`."""
    words = [word for text in thresholds or [] for word in text.replace(",", " ").split()]
    return tuple(words)


def _command() -> str:
    return shlex.join(["python", "-m", "loadtest", *sys.argv[1:]])


def _fail(problems: list[str], status: int) -> NoReturn:
    for problem in problems:
        errors.print(problem, style="red", markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(status)
