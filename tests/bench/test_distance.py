"""The long wire: nothing is lost, nothing overtakes, and all of it takes its time."""

import asyncio
import time

from tests.fixtures.distance import far_away
from tests.fixtures.streams import Reader, Writer, serving

ROUND_TRIP = 0.2


async def test_what_is_sent_arrives_in_order_and_later() -> None:
    async def echo(reader: Reader, writer: Writer) -> None:
        while data := await reader.read(100):
            writer.write(data)

    sent = [f"{number};".encode() for number in range(50)]
    async with serving(echo) as port, far_away(f"127.0.0.1:{port}", ROUND_TRIP) as far:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(far.split(":")[1]))
        began = time.monotonic()
        for each in sent:
            writer.write(each)
            # So that each is a piece of its own.
            await asyncio.sleep(0.001)
        assert await reader.readexactly(sum(map(len, sent))) == b"".join(sent)
        took = time.monotonic() - began
        writer.close()
    assert took >= ROUND_TRIP
