"""`python -m tools.wheel [FOLDER]`: shared/semaphore as the distribution temporal-semaphore.

The same files under the name `temporal_semaphore`, with their README; `dist/` by default.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "shared" / "semaphore"
PROJECT = """\
[project]
name = "temporal-semaphore"
version = "{version}"
description = "A semaphore for Temporal: a permit lives exactly as long as its holder's run"
readme = "README.md"
requires-python = ">=3.11"
dependencies = ["pydantic>=2", "temporalio>=1.35,<2"]

[build-system]
requires = ["uv_build"]
build-backend = "uv_build"

[tool.uv.build-backend]
module-root = ""
"""


def build(into: Path) -> Path:
    """Build the wheel."""
    version = next(
        line.split('"')[1]
        for line in (ROOT / "pyproject.toml").read_text(encoding="utf-8").splitlines()
        if line.startswith("version = ")
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copytree(
            SOURCE,
            folder / "temporal_semaphore",
            ignore=shutil.ignore_patterns("__pycache__", "README.md"),
        )
        shutil.copy2(SOURCE / "README.md", folder)
        (folder / "pyproject.toml").write_text(PROJECT.format(version=version), encoding="utf-8")
        uv = Path(sys.executable).with_name("uv")
        command = [str(uv), "build", "--quiet", "--wheel", "--out-dir", str(into), name]
        subprocess.run(command, check=True)
    return into / f"temporal_semaphore-{version}-py3-none-any.whl"


if __name__ == "__main__":
    made = build(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "dist")
    sys.stdout.write(f"{made}\n")
