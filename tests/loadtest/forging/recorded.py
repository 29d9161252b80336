"""Finished runs of a real stack, kept small: `python -m tests.loadtest.forging.recorded RUN KIND`.

The same stack made them all; a run that the report's collector would note in another way is to be
recorded again.
"""

import json
import re
import shutil
import sys
import tarfile
import tempfile
from pathlib import Path

from loadtest.books import raw, seal
from loadtest.books.raw import RunFolder

RUNS = Path(__file__).with_name("runs")
PLAIN = "plain"
"""One job, then five, one at a time: what the forgeries are made of."""
# Traces name the folders of the machine that a run was made on.
_TRACE = re.compile(r'"stackTrace":\s*("(?:[^"\\]|\\.)*")')
KINDS = sorted(path.name.partition(".")[0] for path in RUNS.glob("*.tar.xz"))


def pack(run: Path, kind: str) -> Path:
    """Keep a run's raw records and its seal; what is derived from them is left out."""
    target = RUNS / f"{kind}.tar.xz"
    with tempfile.TemporaryDirectory() as place:
        folder = RunFolder(Path(place, kind))
        for name in ("raw", "histories"):
            shutil.copytree(run / name, folder.path / name)
        for path in folder.histories.iterdir():
            path.write_text(_TRACE.sub(_blank, path.read_text("utf-8")), "utf-8")
        facts = folder.read(raw.RUN)
        jobs, seed = sum(facts["plan"]["stages"]), facts["plan"]["seed"]
        # The line that made it names folders of the machine, too.
        folder.write(raw.RUN, facts | {"command": f"make test-{jobs} SEED={seed}"})
        seal.write(folder)
        with tarfile.open(target, "w:xz", preset=9) as out:
            for name in ("raw", "histories", seal.NAME):
                out.add(folder.path / name, name, filter=_anonymous)
    return target


def _blank(trace: re.Match[str]) -> str:
    """A trace of as many bytes: the server had counted them."""
    return f'"stackTrace": "{"." * len(json.loads(trace[1]).encode())}"'


def unpack(kind: str, target: Path) -> RunFolder:
    """A kept run as it was."""
    with tarfile.open(RUNS / f"{kind}.tar.xz") as packed:
        packed.extractall(target, filter="data")
    return RunFolder.open(target)


def _anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = entry.mtime = 0
    entry.uname = entry.gname = ""
    return entry


if __name__ == "__main__":
    folder = RunFolder.open(Path(sys.argv[1]).resolve())
    print(pack(folder.path, sys.argv[2]), folder.read(raw.RUN)["run_id"])  # noqa: T201
