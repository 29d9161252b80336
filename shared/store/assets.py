"""The results of jobs in a store: `assets/<job_id>/image.png`, or under its digest elsewhere."""

import re
from pathlib import Path

from shared.jobs.assets import assets_prefix
from shared.pipeline.definition import Stage
from shared.store.protocol import Listed, Store


class Assets:
    """One file a stage. Blocking: call it from a thread.

    In a folder it has a fixed name. Elsewhere it is read in pieces, by whoever has its address,
    while another one may be stored: there each has its own name, which has its digest.
    """

    def __init__(self, store: Store) -> None:
        self.store = store

    def keep(self, file: Path, job_id: str, stage: Stage, *, digest: str) -> None:
        """Have this file of ours there, and none that was there before.

        Of two that are stored at the same moment neither takes the other away.
        """
        name = stage.name if self.store.local else f"{stage.name}-{digest}"
        key = f"{assets_prefix(job_id)}{name}.{stage.file.suffix}"
        before = [other.key for other in self._of(job_id, stage.name) if other.key != key]
        self.store.keep(key, file)
        for other in before:
            self.store.remove(other)

    def find(self, job_id: str, step: str) -> Listed | None:
        """The file of one stage; None where there is none.

        The newest one where there are two: whoever stores one removes the others after that.
        """
        return max(self._of(job_id, step), key=lambda each: each.modified, default=None)

    def forget(self, job_id: str) -> None:
        """Have none of a job."""
        self.store.remove_below(assets_prefix(job_id))

    def _of(self, job_id: str, step: str) -> list[Listed]:
        prefix = assets_prefix(job_id)
        name = re.compile(rf"{re.escape(prefix)}{re.escape(step)}(-[0-9a-f]+)?\.[a-z0-9]+")
        return [each for each in self.store.list(prefix) if name.fullmatch(each.key)]
