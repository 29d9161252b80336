"""The checks and the locks, each in the environment of the development lock."""

import os
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from compose.stack.errors import VERDICT
from compose.stack.machine import engine
from compose.stack.output import paint, say
from compose.stack.subprocesses import Outcome, capture, hand_over

BIN = Path(sys.executable).parent
# Each name that must have a value before the compose files can be read as a whole.
_COMPOSE_ENV = {
    "COMPOSE_PROFILES": "server,tools,ui",
    "POSTGRES_PASSWORD": "x",
    "CERTIFICATES": "/certificates",
}
# What `make check` counts, by its files.
_COUNTED = {
    "product": r"(compose|loadtest|services|shared)/.*\.py$",
    "tests": r"tests/.*\.py$",
    "dashboard": r"services/api/dashboard/.*\.(js|css)$",
    "documentation": r"docs/[^/]*\.md$",
}


@dataclass(frozen=True)
class Check:
    """One tool and how it is called."""

    name: str
    command: tuple[str, ...]
    env: Mapping[str, str] | None = None


def check(root: Path) -> int:
    """Run every check, show what the failing ones say, and say which those were.

    As many at once as there are processors; each line comes when its tool has ended.
    """
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        running = {
            pool.submit(capture, item.command, item.env, cwd=root): item.name
            for item in _checks(root)
        }
        ended = ((running[each], each.result()) for each in as_completed(running))
        failed = [name for name, outcome in ended if not _is_good(name, outcome)]
    if size := size_line(root):
        say(f"     {size}")
    if failed:
        say(paint(f"failed: {', '.join(failed)}", "bad"))
        return VERDICT
    say(paint("all checks passed", "good"))
    return 0


def size_line(root: Path) -> str:
    """Say how large the project is, in lines and files; "" outside a git clone.

    Nothing fails by it: it is there so that growth is seen.
    """
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


def _is_good(name: str, outcome: Outcome) -> bool:
    """Whether it is, which is said, too."""
    say(f"{paint('ok  ', 'good') if outcome.good else paint('BAD ', 'bad')} {name}")
    if not outcome.good:
        say((outcome.out + outcome.err).rstrip())
    return outcome.good


def _checks(root: Path) -> Iterator[Check]:
    def tool(name: str, *words: str) -> tuple[str, ...]:
        return (str(BIN / name), *words)

    yield Check("format", tool("ruff", "format", "--check", "."))
    yield Check("lint", tool("ruff", "check", "."))
    yield Check("types", tool("mypy"))
    yield Check("layers", tool("lint-imports"))
    yield Check("dependencies", tool("deptry", "--no-ansi", "."))
    yield Check("Dockerfile", tool("hadolint", "compose/Dockerfile"))
    yield Check("YAML", tool("yamllint", "--strict", "compose", ".yamllint", ".hadolint.yaml"))
    if (root / "tests" / "docs").is_dir():
        yield Check("documentation", tool("pytest", "-q", "tests/docs"))
    yield from _compose(root)


def _compose(root: Path) -> Iterator[Check]:
    found = engine.compose()
    if found is None:
        say("     compose files left out: Docker Compose is not installed")
        return
    for name, files in (
        ("compose files", ("compose", "mocks")),
        ("compose without mocks", ("compose",)),
        ("cluster", ("cluster/compose",)),
    ):
        chosen = [
            word for file in files for word in ("--file", str(root / "compose" / f"{file}.yaml"))
        ]
        command = (*found[0], "--env-file", "/dev/null", *chosen, "config", "--quiet")
        yield Check(name, command, _COMPOSE_ENV)


def lock(root: Path) -> int:
    """Write the hashed locks anew; the development lock comes first and binds the others."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    extras = project["project"]["optional-dependencies"]
    for extra in sorted(extras, key=lambda name: name != "dev"):
        if status := hand_over(_compile(extra), cwd=root):
            return status
    return 0


def _compile(extra: str) -> list[str]:
    file = f"requirements/{extra}.txt"
    bound = [] if extra == "dev" else ["--constraint", "requirements/dev.txt"]
    return [
        str(BIN / "uv"), "pip", "compile", "pyproject.toml", "--quiet", "--extra", extra,
        "--universal", "--python-version", "3.11", "--generate-hashes", "--no-header",
        "--only-binary", ":all:",
        *bound, "--output-file", file,
    ]  # fmt: skip
