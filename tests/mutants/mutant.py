"""A mutant is a small edit of the product, made in a copy of its source."""

import shutil
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.mutants.product import ROOT, product_files
from tests.mutants.site import Scene

PLAIN = Scene()


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """`old` occurs in the product exactly once, and `new` replaces it; `more` has further pairs.

    `rule` must convict `jobs`: `#2` is the second job of the plan, `stranger` a job that the plan
    does not have, `run` the run as a whole; without `jobs`, some job, if it depends on the machine
    which one. A mutant that changes nothing that a user or a vendor could notice says why in
    `harmless`; no job may be convicted then.
    """

    name: str
    breaks: str
    scene: Scene = PLAIN
    old: str = ""
    new: str = ""
    more: tuple[tuple[str, str], ...] = ()
    rule: str = ""
    jobs: tuple[str, ...] = ("#1", "#2", "#3")
    harmless: str = ""


class Unfit(Exception):
    """The text of an edit does not occur in the product exactly once."""


def edited(mutant: Mutant) -> dict[Path, str]:
    """The files that the mutant changes, by their path in the product; Unfit."""
    changed: dict[Path, str] = {}
    for old, new in ((mutant.old, mutant.new), *mutant.more) if mutant.old else ():
        texts = {**_product(), **changed}
        found = [path for path, text in texts.items() for _ in range(text.count(old))]
        if len(found) != 1:
            raise Unfit(f"{mutant.name}: {len(found)} places have the text {old.strip()[:60]!r}")
        changed[found[0]] = texts[found[0]].replace(old, new)
    return changed


@cache
def _product() -> dict[Path, str]:
    files = product_files()
    return {file.relative_to(ROOT): file.read_text(encoding="utf-8") for file in files}


def grown(mutant: Mutant, product: Path, to: Path) -> Path:
    """The source of this mutant: the copied product with the edits applied."""
    shutil.copytree(product, to)
    for path, text in edited(mutant).items():
        (to / path).write_text(text, encoding="utf-8")
    return to
