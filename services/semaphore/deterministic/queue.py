"""Who is next: by priority, then submission; waiting raises a low priority, none starves."""

from bisect import bisect_left, insort
from collections.abc import Iterator

from shared.slot.messages import SlotRequest

# A job that has waited this long counts as one priority higher than a newcomer's.
AGEING_SECONDS = 600.0

Key = tuple[float, str]


def turn(request: SlotRequest) -> Key:
    """The key of a request's turn, smaller first. Fixed for good, so that ageing costs nothing:
    between two requests the difference of their waits never changes."""
    submitted = request.requested_at.timestamp()
    return submitted + request.priority * AGEING_SECONDS, request.run_id


class WaitingQueue:
    """The requests in the order of their turn; each run stands in it once."""

    def __init__(self, requests: tuple[SlotRequest, ...] = ()) -> None:
        self._requests: dict[str, SlotRequest] = {}
        self._keys: list[Key] = []
        for request in requests:
            self.add(request)

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[SlotRequest]:
        return (self._requests[run_id] for _, run_id in self._keys)

    def __contains__(self, run_id: str) -> bool:
        return run_id in self._requests

    def add(self, request: SlotRequest) -> None:
        """Put a request in its place; a repeat changes nothing."""
        if request.run_id not in self._requests:
            self._requests[request.run_id] = request
            insort(self._keys, turn(request))

    def remove(self, run_id: str) -> None:
        """Take a run out, if it is there."""
        request = self._requests.pop(run_id, None)
        if request is not None:
            del self._keys[bisect_left(self._keys, turn(request))]

    def pop(self) -> SlotRequest:
        """Take out the first; IndexError where nobody waits."""
        _, run_id = self._keys.pop(0)
        return self._requests.pop(run_id)

    def first(self, count: int) -> tuple[str, ...]:
        """The job ids of the next `count`, in order."""
        return tuple(self._requests[run_id].job_id for _, run_id in self._keys[:count])
