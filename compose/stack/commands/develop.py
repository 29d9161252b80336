"""The test suites, the checks and the locks; make's variables become their options."""

import os
import re
import shlex
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from compose.stack import machine
from compose.stack.given import options
from compose.stack.output import VERDICT, StackError, paint, say, shown
from compose.stack.settings import Mode
from compose.stack.subprocesses import capture, hand_over

# Most of a test's time is waiting. Six processes are no faster than four.
SIDE_BY_SIDE = ["-n", "4", "--dist", "loadscope", "--no-loadscope-reorder"]
# A description is the error for a wrong value.
Minutes = Annotated[
    str,
    Field(
        pattern=r"^(0*[1-9]\d{0,3}(\.\d+)?|0?\.\d*[1-9]\d*)$",
        description="is not a number of minutes above 0",
    ),
]
Count = Annotated[
    str, Field(pattern=r"^0*[1-9]\d{0,8}$", description="is not a whole number from 1 on")
]


class Seed(BaseModel):
    """The seed, drawn at random by default."""

    seed: str = Field(
        "", pattern=r"^\d{1,15}$", description="is not a whole number of at most 15 digits"
    )


class Chaos(Seed):
    """Options of `make chaos`. Processes are the default mode, because only their connections can
    be cut. With DECK=kills each part of the stack is killed once, and MINUTES is ignored."""

    minutes: Minutes = "5"
    mode: Mode = Mode.LOCAL
    deck: Literal["all", "kills"] = "all"
    reports_dir: str = "reports"


class Simulation(Seed):
    """Options of `make simulate`: MINUTES of histories, or HISTORIES of them, with seeds from SEED
    on; KINDS limits the strikes."""

    minutes: Minutes = "10"
    histories: Count = ""
    kinds: str = Field(
        "", pattern="^[a-z_]+(,[a-z_]+)*$", description="is not a list such as cancel,reset"
    )


class Mutants(BaseModel):
    """Options of `make mutants`; ONLY names the mutants to run."""

    only: str = Field(
        "",
        pattern="^([a-z0-9-]+(,[a-z0-9-]+)*)?$",
        description="is not a list such as two-holders,one-film-for-all",
    )


SUITES: dict[str, type[BaseModel]] = {"chaos": Chaos, "simulation": Simulation, "mutants": Mutants}


def test(root: Path, environ: Mapping[str, str]) -> int:
    """Run every automated test, side by side; with ARGS for pytest, one after the other."""
    given = environ.get("ARGS", "")
    try:
        words = shlex.split(given)
    except ValueError:
        raise StackError(f"ARGS={shown(given)} has an unclosed quote") from None
    return run(root, "pytest", words or SIDE_BY_SIDE)


def suite(root: Path, name: str, environ: Mapping[str, str]) -> int:
    """Run a suite of SUITES with its options; return 0 if no rule was broken, else 1."""
    given = options(SUITES[name], environ).model_dump()
    words = [(f"--{each.replace('_', '-')}", value) for each, value in given.items() if value]
    return run(root, f"tests.{name}", [word for pair in words for word in pair])


def run(root: Path, module: str, words: Sequence[str] = ()) -> int:
    return hand_over([sys.executable, "-m", module, *words], cwd=root)


BIN = Path(sys.executable).parent
# Names that need a value before the compose files can be read.
_COMPOSE_ENV = {
    "COMPOSE_PROFILES": "server,tools,ui",
    "POSTGRES_PASSWORD": "x",
    "CERTIFICATES": "/certificates",
}
# What `make check` counts, by file.
_COUNTED = {
    "product": r"(compose|loadtest|services|shared)/.*\.py$",
    "tests": r"tests/.*\.py$",
    "dashboard": r"services/api/dashboard/.*\.(js|css)$",
    "documentation": r"docs/[^/]*\.md$",
}


# A name, a command, and what its environment has beside ours.
Check = tuple[str, Sequence[str], Mapping[str, str]]


def check(root: Path) -> int:
    """Run every check, print the output of the failing ones, and name them.

    As many run at once as there are processors; each line is printed when its tool has ended.
    """
    failed = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        running = {
            pool.submit(capture, command, os.environ | env, cwd=root): name
            for name, command, env in _checks(root)
        }
        for each in as_completed(running):
            outcome = each.result()
            say(
                f"{paint('ok  ', 'good') if outcome.good else paint('BAD ', 'bad')} {running[each]}"
            )
            if not outcome.good:
                failed.append(running[each])
                say((outcome.out + outcome.err).rstrip())
    if size := size_line(root):
        say(f"     {size}")
    if failed:
        say(paint(f"failed: {', '.join(failed)}", "bad"))
        return VERDICT
    say(paint("all checks passed", "good"))
    return 0


def size_line(root: Path) -> str:
    """Return the size of the project in lines and files, to show growth; "" outside a git clone."""
    listed = capture(("git", "ls-files"), cwd=root)
    if not listed.good:
        return ""
    sizes = []
    for name, pattern in _COUNTED.items():
        found = [root / file for file in listed.out.splitlines() if re.match(pattern, file)]
        lines = sum(file.read_bytes().count(b"\n") for file in found if file.is_file())
        sizes.append(f"{name} {lines} lines in {len(found)} files")
    contracts = (
        (root / "pyproject.toml").read_text("utf-8").count("[[tool.importlinter.contracts]]")
    )
    return f"size: {', '.join(sizes)}, {contracts} import contracts"


def _checks(root: Path) -> Iterator[Check]:
    tools = {
        "format": ("ruff", "format", "--check", "."),
        "lint": ("ruff", "check", "."),
        "types": ("mypy",),
        "layers": ("lint-imports",),
        "dependencies": ("deptry", "--no-ansi", "."),
        "Dockerfile": ("hadolint", "compose/Dockerfile"),
        "YAML": ("yamllint", "--strict", "compose", ".yamllint", ".hadolint.yaml"),
        "documentation": ("pytest", "-q", "tests/docs"),
    }
    for name, (program, *words) in tools.items():
        if name != "documentation" or (root / "tests" / "docs").is_dir():
            yield name, (str(BIN / program), *words), {}
    found = machine.compose()
    if found is None:
        say("     compose files left out: Docker Compose is not installed")
        return
    for name, files in (
        ("compose files", ("compose", "mocks")),
        ("compose without mocks", ("compose",)),
        ("compose with another pipeline", ("compose", "mocks", "../examples/speech/compose")),
        ("cluster", ("cluster/compose",)),
    ):
        chosen = [
            word for file in files for word in ("--file", str(root / "compose" / f"{file}.yaml"))
        ]
        config = ("--env-file", "/dev/null", *chosen, "config", "--quiet")
        yield name, (*found[0], *config), _COMPOSE_ENV


def lock(root: Path) -> int:
    """Write the hashed locks again, the development lock first, because it binds the others."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    extras = {*project["project"]["optional-dependencies"]} - {"common", "http"}
    for extra in sorted(extras, key=lambda name: (name != "dev", name)):
        bound = [] if extra == "dev" else ["--constraint", "requirements/dev.txt"]
        command = [
            str(BIN / "uv"), "pip", "compile", "pyproject.toml", "--quiet", "--extra", extra,
            "--universal", "--python-version", "3.11", "--generate-hashes", "--no-header",
            "--only-binary", ":all:", *bound, "--output-file", f"requirements/{extra}.txt",
        ]  # fmt: skip
        if status := hand_over(command, cwd=root):
            return status
    return 0
