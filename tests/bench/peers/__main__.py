"""Each peer's figures as lines of JSON: `python -m tests.bench.peers FOLDER [PEER …]`.

FOLDER holds the peers' environments, each made as the head of its script says.
"""

import argparse
import json
import signal
import sys
import tempfile
from pathlib import Path

from tests.bench.mocks import say
from tests.bench.peers import servers
from tests.bench.peers.trial import Peer, killed, one_by_one, running

PEERS = (
    Peer("celery", servers.redis),
    Peer("bullmq", servers.redis),
    Peer("dbos", servers.postgres),
    Peer("prefect", servers.prefect),
    Peer("restate", servers.restate),
)
PARTS = ("turns", "video", "order")


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.bench.peers", description=__doc__)
    parser.add_argument("environments", type=lambda text: Path(text).resolve())
    parser.add_argument("peers", nargs="*", metavar="PEER", help="default: all")
    parser.add_argument("--jobs", type=int, default=40)
    parser.add_argument("--part", choices=PARTS, help="the hand-over, or a kill; default: all")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    for peer in PEERS:
        if not options.peers or peer.name in options.peers:
            for part in [part for part in PARTS if options.part in (None, part)]:
                measured(peer, part, options)


def measured(peer: Peer, part: str, options: argparse.Namespace) -> None:
    """A line with what one part found."""
    length = 0.2 if part == "turns" else 5.0
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        running(peer, options.environments, Path(folder), video_seconds=length) as it,
    ):
        found = one_by_one(it, options.jobs) if part == "turns" else killed(it, part)
    say(json.dumps({"peer": peer.name, "part": part, **found}))


if __name__ == "__main__":
    main()
