"""Following a stage's jobs to their end: the WebSocket is quick, the polling is what counts."""

import asyncio
import time

from loadtest.collect.tracker import Tracker
from loadtest.wire.api import Api
from loadtest.wire.feed import Feed
from loadtest.wire.http import Unreachable

QUIET = 2.0
"""Seconds without news before the API is asked; then at most a twentieth of the time."""


class Poller:
    """Asks the API for what the WebSocket may have missed."""

    def __init__(self, api: Api, tracker: Tracker, feed: Feed) -> None:
        self._api, self._tracker, self._feed = api, tracker, feed
        self.away_since: float | None = None
        self.reason = ""

    async def run(self) -> None:
        """Poll for ever: at once while the feed is down, else only when it is silent."""
        connections = 0
        while True:
            reconnected = self._feed.connections != connections
            connections = self._feed.connections
            quiet = time.monotonic() - self._tracker.last_change > QUIET
            pause = 0.5
            if self._tracker.accepted and (quiet or reconnected or not self._feed.connected):
                pause = max(1.0, 20 * await self.poll())
            await asyncio.sleep(pause)

    async def poll(self) -> float:
        """Read all jobs of the tag once; returns the seconds that it took."""
        began = time.monotonic()
        try:
            async for job in self._api.jobs(self._tracker.tag):
                self._tracker.see(job, source="poll")
            self.away_since = None
        except Unreachable as error:
            # From before the request: its time-out counts as absence, too.
            self.away_since = self.away_since or began
            self.reason = str(error)
        return time.monotonic() - began
