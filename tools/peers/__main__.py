"""Engines measured one after the other: `python -m tools.peers FOLDER [PEER …]`.

FOLDER holds the peers' environments, each made as the head of its script says. What each part found
is printed as a line of JSON and kept in FOLDER/found-TIME.jsonl; at the end come the lines of the
table in docs/verdict.md, kept beside it as found-TIME.md.
"""

import argparse
import contextlib
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

from tools.bench.processes import say
from tools.peers.engines import PEERS, Peer
from tools.peers.servers import adopt_orphans, end_children
from tools.peers.table import line
from tools.peers.trial import killed, one_by_one, running

PARTS = ("turns", "video", "order")
TAIL = 15


class OutOfTime(Exception):
    """The time of an engine is over; no TimeoutError, which a trial expects of a job."""


def main() -> None:
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGALRM, _over)
    adopt_orphans()
    stem = options.environments / time.strftime("found-%Y%m%d-%H%M%S")
    table = []
    for peer in PEERS:
        if options.peers and peer.name not in options.peers:
            continue
        parts = {}
        end = time.monotonic() + 60 * options.minutes
        for part in [part for part in PARTS if options.part in (None, part)]:
            parts[part] = measured(peer, part, options, end=end)
            with stem.with_suffix(".jsonl").open("a") as lines:
                lines.write(json.dumps(parts[part]) + "\n")
            say(json.dumps(parts[part]))
        table.append(line(peer.called(options.environments), parts))
        stem.with_suffix(".md").write_text("\n".join(table) + "\n")
    say("\n".join(["", *table, "", f"kept: {stem}.jsonl, {stem}.md"]))


def measured(peer: Peer, part: str, options: argparse.Namespace, *, end: float) -> dict[str, Any]:
    """What one part found, and how busy the machine was; or why it found nothing."""
    began, load = time.monotonic(), os.getloadavg()[0]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        try:
            found = _part(peer, part, options, folder=Path(folder), end=end)
        except OutOfTime:
            found = {"failed": f"not within {options.minutes:g} min"}
        except Exception as error:
            found = {"failed": f"{type(error).__name__}: {error}"}
        finally:
            end_children()
        if "failed" in found:
            _tell_logs(Path(folder))
    machine = {"nice": os.nice(0), "load": [round(load, 1), round(os.getloadavg()[0], 1)]}
    took = {"seconds": round(time.monotonic() - began, 1)}
    return {"peer": peer.name, "part": part, **found, **machine, **took}


def _part(
    peer: Peer, part: str, options: argparse.Namespace, *, folder: Path, end: float
) -> dict[str, Any]:
    length = 0.2 if part == "turns" else 5.0
    with (
        _until(end),
        running(peer, options.environments, folder, video_seconds=length) as it,
    ):
        return one_by_one(it, options.jobs) if part == "turns" else killed(it, part)


@contextlib.contextmanager
def _until(end: float) -> Iterator[None]:
    """OutOfTime in the block when it lasts until then."""
    signal.setitimer(signal.ITIMER_REAL, max(end - time.monotonic(), 0.01))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _over(_number: int, _frame: FrameType | None) -> None:
    raise OutOfTime


def _tell_logs(folder: Path) -> None:
    """The ends of what its processes have said."""
    for log in sorted(folder.glob("*.log")):
        last = log.read_text(errors="replace").splitlines()[-TAIL:]
        sys.stderr.write("\n".join([f"--- {log.name}", *last, ""]))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tools.peers", description=__doc__)
    parser.add_argument("environments", type=lambda text: Path(text).resolve(), metavar="FOLDER")
    names = [peer.name for peer in PEERS]
    parser.add_argument("peers", nargs="*", metavar="PEER", help=f"of {', '.join(names)}; all")
    parser.add_argument("--jobs", type=int, default=40, help="one after the other")
    parser.add_argument("--part", choices=PARTS, help="the hand-over, or a kill; default: all")
    parser.add_argument("--minutes", type=float, default=20, help="that one engine may take")
    options = parser.parse_args()
    if unknown := set(options.peers).difference(names):
        parser.error(f"no such engine: {', '.join(sorted(unknown))}")
    return options


if __name__ == "__main__":
    main()
