"""From when on the next list of what has changed must begin, whatever time our machine has."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

# The list lags behind what happens.
LAG = timedelta(seconds=30)
# Our clock may be ahead of the server's by so much, while nothing shows that it is less.
MOST_AHEAD = timedelta(minutes=5)
NOT_AHEAD = timedelta(0)


class LookBack:
    """At first it is everything.

    Our clock is ahead by no more than a change was old, by that clock, when it was listed.
    """

    def __init__(self) -> None:
        self.since = datetime.fromtimestamp(0, UTC)
        self._ahead = MOST_AHEAD

    def listed(self, asked_at: datetime, changes: Iterable[datetime]) -> None:
        """A list that was asked for at `asked_at` told of changes at these instants."""
        now = datetime.now(UTC)
        least = min((now - each for each in changes), default=MOST_AHEAD)
        self._ahead = max(NOT_AHEAD, min(self._ahead, least))
        self.since = asked_at - LAG - self._ahead
