"""Resident memory: of our services by their own /metrics, of the server by its process."""

from collections.abc import Iterator
from pathlib import Path

from loadtest.settings import Settings
from loadtest.wire.processes import Processes, addresses

_LISTENING = "0A"
MEGABYTE = 1e6


async def resident(settings: Settings) -> dict[str, float]:
    """Megabytes by the name of the process; one that can't be read is left out."""
    wanted = {n: url for n, url in addresses(settings).items() if n == "semaphore" or "worker" in n}
    processes = Processes(wanted)
    try:
        rows = await processes.sample()
    finally:
        await processes.close()
    found = {str(row["name"]): row["rss"] / MEGABYTE for row in rows if row["name"] in wanted}
    pid = listener(int(settings.temporal_address.rpartition(":")[2]))
    return found | ({"server": resident_of(pid)} if pid else {})


def resident_of(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(status.split("VmRSS:")[1].split()[0]) * 1024 / MEGABYTE


def listener(port: int) -> int | None:
    """The process that listens on a port of this machine, where that may be seen."""
    sockets = {f"socket:[{inode}]" for inode in _inodes(port)}
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            target = str(link.readlink())
        except OSError:
            continue
        if target in sockets:
            return int(link.parts[2])
    return None


def _inodes(port: int) -> Iterator[str]:
    for table in ("tcp", "tcp6"):
        path = Path("/proc/net") / table
        for line in path.read_text(encoding="ascii").splitlines()[1:] if path.is_file() else ():
            fields = line.split()
            if fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                yield fields[9]
