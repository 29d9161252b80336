"""Plain hops on a real server."""

from temporalio.client import Client

from loadtest.settings import Settings
from loadtest.wire.temporal import Temporal
from tests.bench.pipeline.hop import hops
from tests.fixtures.eventually import eventually


async def test_hops_are_sampled_for_as_long_as_the_block_runs(client: Client) -> None:
    async with hops(client, Temporal(client, Settings().payload_keys)) as found:

        async def seen() -> int:
            return len(found)

        await eventually(seen, lambda count: count >= 2)
    taken = list(found)

    assert all(seconds > 0 for seconds in taken)
    assert found == taken
