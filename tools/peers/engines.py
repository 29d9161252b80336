"""The engines that are measured: what each is, what it runs on, and its line in the table."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from tools.peers import servers, temporal_servers
from tools.peers.servers import Environment

Server = Callable[[Path, Path], AbstractContextManager[Environment]]
HERE = Path(__file__).parent
OWN = Path(sys.executable).parent
# What is behind "Server", if it stands there: Temporal's command names its own version, too.
_VERSION = re.compile(r"(?:.*Server )?.*?(\d+(?:\.\d+)+)", re.DOTALL)


@dataclass(frozen=True)
class Peer:
    """A module of this folder, or a script for Node, and what it keeps its jobs in.

    `name`: that of the module, and behind a dash what is special.
    `title`: its first cell, with a place for each version; `versions`: commands that tell them,
    below the folder of environments, beside the Python that runs this, or on the path.
    """

    name: str
    server: Server
    title: str
    versions: tuple[tuple[str, ...], ...]

    def command(self, environments: Path) -> list[str]:
        if self.name == "bullmq":
            return ["node", str(HERE / "with_bullmq.cjs")]
        module = self.name.partition("-")[0]
        python = environments / module / "bin/python"
        return [
            str(python if python.exists() else OWN / "python"),
            *("-m", f"tools.peers.with_{module}"),
        ]

    def called(self, environments: Path) -> str:
        """Its first cell, with the versions that are there."""
        return self.title.format(*(_version(environments, command) for command in self.versions))


def _version(environments: Path, command: tuple[str, ...]) -> str:
    path = f"{environments}:{OWN}:{os.environ['PATH']}"
    told = subprocess.run(
        ["sh", "-c", 'cd "$0" && exec "$@"', str(environments), *command],
        env={"PATH": path, "HOME": str(environments)},
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    found = _VERSION.match(told)
    return found[1] if found else "?"


def _package(name: str) -> tuple[str, ...]:
    return (f"{name}/bin/pip", "show", name)


_REDIS = ("redis-server", "--version")
_TEMPORAL = ("temporal", "--version")

PEERS = (
    Peer(
        "restate",
        servers.restate,
        "Restate {}: a virtual object's exclusive handler",
        (("restate-server/node_modules/.bin/restate-server", "--version"),),
    ),
    Peer(
        "bullmq",
        servers.redis,
        "BullMQ {}, Redis {}: global concurrency 1",
        (("grep", '"version"', "bullmq/node_modules/bullmq/package.json"), _REDIS),
    ),
    Peer(
        "celery",
        servers.redis,
        "Celery {}, Redis {}: a lock",
        (_package("celery"), _REDIS),
    ),
    Peer(
        "dbos",
        servers.postgres,
        "DBOS {}, PostgreSQL {}: a queue of 1",
        (_package("dbos"), ("postgres", "--version")),
    ),
    Peer(
        "prefect",
        servers.prefect,
        "Prefect {}, SQLite: a global limit",
        (_package("prefect"),),
    ),
    Peer(
        "temporal",
        temporal_servers.temporal,
        "Temporal {}, SQLite: a workflow that runs the others in turn",
        (_TEMPORAL,),
    ),
    Peer(
        "temporal-quicker",
        temporal_servers.quicker,
        "Temporal {}, SQLite: the same, its server set as in this repository",
        (_TEMPORAL,),
    ),
    Peer(
        "genvideo",
        temporal_servers.genvideo,
        "Temporal {}, SQLite: this repository",
        (_TEMPORAL,),
    ),
)
