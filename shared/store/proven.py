"""An object store that is looked at before anything is written under a condition.

So it holds also where it was away when the process began.
"""

from shared.store.objects import Objects
from shared.store.probe import probe


class Proven(Objects):
    """Writes with conditions once it was seen that the store checks them."""

    _proven = False

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """As the protocol says; StoreRefused."""
        self._prove()
        return super().put_if_absent(key, data)

    def swap(self, key: str, data: bytes, tag: str) -> bool:
        """As the protocol says; StoreRefused."""
        self._prove()
        return super().swap(key, data, tag)

    def _prove(self) -> None:
        # Two that do it at once do no harm.
        if not self._proven:
            probe(Objects(self._connection))
            self._proven = True
