"""The results of jobs in a store: `assets/<job_id>/image.png`, or under its digest elsewhere."""

from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from shared.jobs.assets import KINDS, SUFFIXES, Kind, assets_prefix, file_name
from shared.jobs.states import Step
from shared.store.protocol import Listed, Store


class Stored(NamedTuple):
    """A result that is there."""

    key: str
    kind: Kind
    size: int
    tag: str
    modified: datetime


class Assets:
    """One file a stage, whatever its kind. Blocking: call it from a thread.

    In a folder it has a fixed name. Elsewhere it is read in pieces, by whoever has its address,
    while another one may be stored: there each has its own name, which has its digest.
    """

    def __init__(self, store: Store) -> None:
        self.store = store

    def keep(self, file: Path, job_id: str, step: Step, *, kind: Kind, digest: str) -> None:
        """Have this file of ours there, and none that was there before.

        Of two that are stored at the same moment neither takes the other away.
        """
        name = file_name(step, kind)
        if not self.store.local:
            name = f"{step}-{digest}.{SUFFIXES[kind]}"
        key = f"{assets_prefix(job_id)}{name}"
        before = [other.key for other in self._of(job_id, step) if other.key != key]
        self.store.keep(key, file)
        for other in before:
            self.store.remove(other)

    def find(self, job_id: str, step: Step) -> Stored | None:
        """The file of one stage; None where there is none.

        The newest one where there are two: whoever stores one removes the others after that.
        """
        return max(self._of(job_id, step), key=lambda each: each.modified, default=None)

    def forget(self, job_id: str) -> None:
        """Have none of a job."""
        self.store.remove_below(assets_prefix(job_id))

    def _of(self, job_id: str, step: Step) -> list[Stored]:
        prefix = assets_prefix(job_id)
        found = [(each, _kind(each, prefix, step)) for each in self.store.list(prefix)]
        return [
            Stored(each.key, kind, each.size, each.tag, each.modified)
            for each, kind in found
            if kind is not None
        ]


def _kind(listed: Listed, prefix: str, step: Step) -> Kind | None:
    """What a file of this stage is by its name; None for all others."""
    name, _, suffix = listed.key.removeprefix(prefix).partition(".")
    if name.partition("-")[0] != step:
        return None
    return next((kind for kind in KINDS[step] if SUFFIXES[kind] == suffix), None)
