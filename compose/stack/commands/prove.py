"""`make prove`: run each part on a separate stack, and draw one page about all of them.

Each part has a verdict by the exit status of its command; `loadtest.prove` draws the page.
"""

import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

from compose.stack import modes
from compose.stack.commands import bench, develop, lifecycle, runs
from compose.stack.given import options
from compose.stack.output import INTERRUPTED, StackError, complain, say
from compose.stack.settings import Mode, Settings
from compose.stack.subprocesses import capture, to_its_end

WORKERS = 2
SPEED = "100"
# Environment of a part's report and display, beside its settings.
SHOWN = ("NO_COLOR", "CI", "GIT_COMMIT", "TERM")


@dataclass(frozen=True)
class Proof:
    """A proof under way: `folder` is its result, `shown` are the variables of the terminal."""

    root: Path
    folder: Path
    mode: Mode
    seed: str
    shown: Mapping[str, str] = field(default_factory=dict)
    project: str = field(default_factory=lambda: f"genvideo-prove-{secrets.token_hex(4)}")

    @contextmanager
    def stack(self, name: str) -> Iterator[Settings]:
        """Settings of a private stack; the command that runs jobs starts it."""
        data = self.folder / "stacks" / name
        given = {"MODE": self.mode, "COMPOSE_PROJECT_NAME": self.project, "MOCKS": "on"}
        given |= {"MOCK_SPEED": SPEED, "REPORTS_DIR": str(self.folder / name)}
        settings = bench.own_settings(self.root, data, workers=WORKERS, mocks=given)
        try:
            yield settings
        finally:
            to_its_end(lambda: lifecycle.down(settings))


# Carries a part out under its name, and returns its exit status.
Part = Callable[[Proof, str], int]
Run = Callable[[Settings, Mapping[str, str]], int]
# Name, exit status, seconds, and the reason if it could not start.
Ending = tuple[str, int, float, str]


def _jobs(proof: Proof, name: str, run: Run, **given: str) -> int:
    """Run a command that runs jobs, as a user would.

    The stack's data and logs stay if the part has failed.
    """
    with proof.stack(name) as settings:
        status = run(settings, {**proof.shown, **given, "SEED": proof.seed})
    if status == 0:
        shutil.rmtree(settings.data_dir, ignore_errors=True)
    return status


def _chaos(proof: Proof, name: str, **given: str) -> int:
    """Run chaos, which starts its own stack."""
    there = {"MODE": proof.mode, "REPORTS_DIR": str(proof.folder / name), "SEED": proof.seed}
    return develop.suite(proof.root, "chaos", there | given)


# The page knows them by their names.
PARTS: dict[str, Part] = {
    "ladder": lambda proof, name: _jobs(proof, name, runs.ladder),
    "faults": lambda proof, name: _jobs(
        proof, name, lambda own, given: runs.jobs(own, "20", given), PRESET="everything-at-once"
    ),
    "kills": lambda proof, name: _chaos(proof, name, DECK="kills"),
    "chaos": lambda proof, name: _chaos(proof, name, MINUTES="2"),
    # The unchanged product, and a build that is wrong on purpose.
    "control": lambda proof, name: develop.run(
        proof.root,
        "tests.mutants",
        ["--only", "sound-queue,two-holders", "--folder", str(proof.folder / name)],
    ),
}


def prove(settings: Settings, environ: Mapping[str, str]) -> int:
    """Run every part, also after a failed one; the exit status is the page's verdict.

    The user's stack is not touched. An interrupt ends the part and the proof, and the page says so.
    """
    seed = options(develop.Seed, environ).seed or str(secrets.randbelow(1_000_000))
    began = datetime.now(UTC)
    folder = settings.reports_dir / f"prove-{began:%Y%m%d-%H%M%S}"
    # Not the mode of a running stack.
    mode = modes.to_start(settings.model_copy(update={"running": ""})).mode
    shown = {name: environ[name] for name in SHOWN if name in environ}
    proof = Proof(root=settings.root, folder=folder, mode=mode, seed=seed, shown=shown)
    bench.own_settings(settings.root, folder, workers=WORKERS)
    folder.mkdir(parents=True)
    endings: list[Ending] = []
    try:
        for number, (name, part) in enumerate(PARTS.items(), 1):
            say(f"part {number} of {len(PARTS)}: {name} …")
            endings.append(_carried_out(proof, name, part))
            if endings[-1][1] == INTERRUPTED:
                break
    finally:
        to_its_end(lambda: _leave_nothing(proof))
    # Imported here, because no other command draws a page.
    from loadtest import prove as page

    ended = [page.Ending(*each) for each in endings]
    found = page.Proof(folder, f"make prove SEED={seed} MODE={mode}", ended)
    seal = found.draw()
    for line in (found.headline, f"report: {folder / 'report.html'}", f"seal: {seal}"):
        say(line)
    return found.status


def _carried_out(proof: Proof, name: str, part: Part) -> Ending:
    began, reason = monotonic(), ""
    try:
        status = part(proof, name)
    except StackError as error:
        status, reason = error.status, str(error)
        complain(f"{name}: {error}")
    except KeyboardInterrupt:
        status = INTERRUPTED
    return name, status, monotonic() - began, reason


def _leave_nothing(proof: Proof) -> None:
    """Remove the images of the project, and the folder of the stacks if it is empty."""
    with suppress(OSError):
        (proof.folder / "stacks").rmdir()
    if proof.mode is Mode.DOCKER:
        named = ["--quiet", "--filter", f"reference={proof.project}-*"]
        if images := capture(["docker", "image", "ls", *named]).out.split():
            capture(["docker", "image", "rm", "--force", *dict.fromkeys(images)])
