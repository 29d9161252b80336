"""The product's source, of which each mutant is an edit."""

import ast
import compileall
import shutil
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# The vendors stand apart: their ledgers are a witness, and no mutant touches them.
PRODUCT, VENDORS = ("services", "shared"), "mock_*"


def product_files() -> list[Path]:
    """The product's source."""
    files = [file for part in PRODUCT for file in (ROOT / part).rglob("*.py")]
    return [file for file in files if not any(each.match(VENDORS) for each in file.parents)]


def copied(to: Path) -> Path:
    """A compiled copy of the product's source."""
    for part in PRODUCT:
        unwanted = shutil.ignore_patterns("__pycache__", VENDORS)
        shutil.copytree(ROOT / part, to / part, ignore=unwanted)
    compileall.compile_dir(to, quiet=1)
    return to


def libraries() -> Iterator[str]:
    """What the product imports that is not its own."""
    for file in product_files():
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                named = [each.name for each in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                named = [node.module]
            else:
                continue
            yield from (each for each in named if each.partition(".")[0] not in PRODUCT)
