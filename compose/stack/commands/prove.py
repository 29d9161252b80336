"""`make prove`: parts, each on a stack of its own, one after the other, and one page over them all.

Whatever becomes of a part is noted, and the page is drawn again; what it means is for
`loadtest.prove` to judge, from what the parts have left behind.
"""

import json
import secrets
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from time import time

from compose.stack import choice
from compose.stack.commands import bench, develop, lifecycle, runs
from compose.stack.docker import Docker
from compose.stack.given import options
from compose.stack.output import INTERRUPTED, StackError, complain, say
from compose.stack.settings import Mode, Settings
from compose.stack.subprocesses import capture, hand_over, to_its_end

WORKERS = 2
SPEED = "100"
# What a part's report and display look at, besides what the part is told.
SHOWN = ("NO_COLOR", "CI", "GIT_COMMIT", "TERM")


@dataclass(frozen=True)
class Proof:
    """One proof under way: `folder` is what it leaves."""

    root: Path
    folder: Path
    mode: Mode
    seed: str
    environ: Mapping[str, str]
    project: str = field(default_factory=lambda: f"genvideo-prove-{secrets.token_hex(4)}")

    @property
    def shown(self) -> dict[str, str]:
        """The variables of the terminal."""
        return {name: self.environ[name] for name in SHOWN if name in self.environ}

    @contextmanager
    def stack(self, name: str) -> Iterator[Settings]:
        """Settings of a stack that nobody else knows; whoever runs jobs on it brings it up."""
        data = self.folder / "stacks" / name
        given = {"MODE": self.mode, "COMPOSE_PROJECT_NAME": self.project, "MOCKS": "on"}
        given |= {"MOCK_SPEED": SPEED, "REPORTS_DIR": str(self.folder / name)}
        settings = bench.own_settings(self.root, data, workers=WORKERS, mocks=given)
        try:
            yield settings
        finally:
            to_its_end(lambda: lifecycle.down(settings))

    def note(self, name: str, row: Mapping[str, object]) -> None:
        """Add a line to a file of what was seen."""
        with (self.folder / "raw" / name).open("a", encoding="utf-8") as out:
            out.write(json.dumps(row) + "\n")

    def page(self, *options: str) -> list[str]:
        """The command that judges all that there is, and draws the page."""
        return [sys.executable, "-m", "loadtest", "prove", str(self.folder), *options]


@dataclass(frozen=True)
class Part:
    """`run` carries it out and returns its exit status; the judge knows it by its name."""

    name: str
    run: Callable[[Proof], int]


def _jobs(name: str, run: Callable[[Settings, Mapping[str, str]], int], **given: str) -> Part:
    """A command that runs jobs, as a user would give it.

    The stack's data, and with them its logs, stay where the part has failed.
    """

    def carried_out(proof: Proof) -> int:
        with proof.stack(name) as settings:
            status = run(settings, proof.shown | given | {"SEED": proof.seed})
        if status == 0:
            shutil.rmtree(settings.data_dir, ignore_errors=True)
        return status

    return Part(name, carried_out)


def _chaos(name: str, **given: str) -> Part:
    """A chaos run, which brings its stack by itself."""

    def carried_out(proof: Proof) -> int:
        there = {"MODE": proof.mode, "REPORTS_DIR": str(proof.folder / name), "SEED": proof.seed}
        return develop.chaos(proof.root, there | given)

    return Part(name, carried_out)


PARTS = (
    _jobs("ladder", runs.ladder),
    _jobs("faults", lambda s, e: runs.jobs(s, "20", e), PRESET="everything-at-once"),
    _chaos("kills", DECK="kills"),
    _chaos("chaos", MINUTES="2"),
    _jobs("control", runs.bench_peers, JOBS="20"),
)


def prove(settings: Settings, environ: Mapping[str, str]) -> int:
    """Carry out every part, also behind one that failed; the exit status is the page's verdict.

    Whatever stack the user has is left alone. An interrupt ends the part and the proof; the page
    then says so.
    """
    proof = _begun(settings, environ)
    try:
        for number, part in enumerate(PARTS, 1):
            say(f"part {number} of {len(PARTS)}: {part.name} …")
            if _carried_out(proof, part) == INTERRUPTED:
                break
            capture(proof.page())
    finally:
        to_its_end(lambda: _leave_nothing(proof))
    return hand_over(proof.page("--seal"), cwd=proof.root)


def _begun(settings: Settings, environ: Mapping[str, str]) -> Proof:
    """What was asked, checked and noted; with an environment that has all that parts need."""
    seed = options(develop.Seed, environ).seed or str(secrets.randbelow(1_000_000))
    began = datetime.now(UTC)
    proof = Proof(
        root=settings.root,
        folder=settings.reports_dir / f"prove-{began:%Y%m%d-%H%M%S}",
        mode=_mode(settings),
        seed=seed,
        environ=environ,
    )
    bench.own_settings(settings.root, proof.folder, workers=WORKERS)
    (proof.folder / "raw").mkdir(parents=True)
    plan = {"mode": proof.mode, "seed": seed, "workers": WORKERS, "speed": float(SPEED)}
    plan |= {"command": f"make prove SEED={seed} MODE={proof.mode}", "began_at": began.timestamp()}
    proof.note("plan.json", plan | {"parts": [part.name for part in PARTS]})
    return proof


def _mode(settings: Settings) -> Mode:
    """The one that is asked for, or that works here; not that of a stack which runs already."""
    apart = settings.model_copy(update={"running": ""})
    stack = choice.with_base_image(apart, choice.chosen(apart))
    return Mode.DOCKER if isinstance(stack, Docker) else Mode.LOCAL


def _carried_out(proof: Proof, part: Part) -> int:
    """Run one part and note how it ended."""
    began, reason = time(), ""
    try:
        status = part.run(proof)
    except StackError as error:
        status, reason = error.status, str(error)
        complain(f"{part.name}: {error}")
    except KeyboardInterrupt:
        status = INTERRUPTED
    row = {"name": part.name, "status": status, "reason": reason, "began_at": began}
    proof.note("parts.jsonl", row | {"ended_at": time()})
    return status


def _leave_nothing(proof: Proof) -> None:
    """The images of its project, and the folder of the stacks where all have gone."""
    with suppress(OSError):
        (proof.folder / "stacks").rmdir()
    if proof.mode is Mode.DOCKER:
        named = ["--quiet", "--filter", f"reference={proof.project}-*"]
        if images := capture(["docker", "image", "ls", *named]).out.split():
            capture(["docker", "image", "rm", "--force", *dict.fromkeys(images)])
