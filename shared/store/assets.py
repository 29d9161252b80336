"""The results of jobs in a store: `assets/<job_id>/image.png`, in a bucket with a digest."""

import re
from pathlib import Path

from shared.jobs.ids import assets_prefix
from shared.pipeline.definition import Stage
from shared.store.protocol import Listed, Store


class Assets:
    """One file per stage. Blocking: call it from a thread.

    In a folder the name is fixed. In a bucket a file may be read in pieces while another one is
    stored, so each has its own name, with its digest.
    """

    def __init__(self, store: Store) -> None:
        self.store = store

    def keep(self, file: Path, job_id: str, stage: Stage, *, digest: str) -> None:
        """Store this file, and remove the earlier ones.

        If two are stored at the same moment, neither removes the other.
        """
        name = stage.name if self.store.local else f"{stage.name}-{digest}"
        key = f"{assets_prefix(job_id)}{name}.{stage.file.suffix}"
        before = [other.key for other in self._of(job_id, stage.name) if other.key != key]
        self.store.keep(key, file)
        for other in before:
            self.store.remove(other)

    def find(self, job_id: str, step: str) -> Listed | None:
        """Return the file of one stage, or None.

        If there are two, return the newest: a writer removes the others after it has stored its
        own.
        """
        return max(self._of(job_id, step), key=lambda each: each.modified, default=None)

    def _of(self, job_id: str, step: str) -> list[Listed]:
        prefix = assets_prefix(job_id)
        name = re.compile(rf"{re.escape(prefix)}{re.escape(step)}(-[0-9a-f]+)?\.[a-z0-9]+")
        return [each for each in self.store.list(prefix) if name.fullmatch(each.key)]
