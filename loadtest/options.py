"""The command line's options; each is text here and is checked by the plan, all at once."""

from pathlib import Path
from typing import Annotated

import typer

Stages = Annotated[
    str, typer.Option("--stages", help="Jobs per stage, such as 1,5,10; or 'ladder'.")
]
Jobs = Annotated[str | None, typer.Option("--jobs", "-n", help="One stage of so many jobs.")]
Seed = Annotated[
    str | None, typer.Option("--seed", help="Seed of the prompts; by default a new one.")
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
Presets = Annotated[
    list[str] | None, typer.Option("--preset", help="Arm the mocks' faults of this name.")
]
Faults = Annotated[
    list[str] | None, typer.Option("--fault", help="Arm this rule (JSON) in the mocks.")
]
Folder = Annotated[Path, typer.Argument(help="A run's folder, such as reports/latest.")]
ReplayWith = Annotated[
    str,
    typer.Option("--replay-with", help="A program that replays a folder of histories."),
]
Reset = Annotated[bool, typer.Option("--reset", help="Empty the mocks' ledgers first.")]
Check = Annotated[bool, typer.Option("--check", help="Look at the options, and run nothing.")]
AtTheEnd = Annotated[bool, typer.Option("--seal", help="All has been done: seal it.")]


def split(thresholds: list[str] | None) -> tuple[str, ...]:
    """Several thresholds may share one option, as in `-t 'p95<60s lost==0'`."""
    words = [word for text in thresholds or [] for word in text.replace(",", " ").split()]
    return tuple(words)
