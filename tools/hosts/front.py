"""What stands before services that listen on loopback alone: their ports, at the host's address.

`python -m tools.hosts.front ADDRESS CERTIFICATES PORT=TARGET…`; before Temporal's port it asks
for TLS with a certificate, as a provider of that server has to.
"""

import asyncio
import contextlib
import ssl
import sys
from pathlib import Path

from tests.fixtures.streams import Reader, Writer, hung_up
from tools.hosts.certificates import AUTHORITY, SERVER

TEMPORAL_PORT = 7233
CHUNK = 65536


def mutual(folder: Path) -> ssl.SSLContext:
    """Nobody is let in without a certificate of the authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / SERVER)
    context.load_verify_locations(folder / AUTHORITY)
    context.verify_mode = ssl.CERT_REQUIRED
    context.set_alpn_protocols(["h2"])
    return context


async def _carry(reader: Reader, writer: Writer) -> None:
    """Until one side has ended; the other one is of no use any more."""
    with contextlib.suppress(OSError):
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()
    writer.close()


async def serve(address: str, port: int, target: int, context: ssl.SSLContext | None) -> None:
    """Hand on every connection, until killed."""

    async def connected(reader: Reader, writer: Writer) -> None:
        with contextlib.suppress(OSError):
            there, back = await asyncio.open_connection("127.0.0.1", target)
            await asyncio.gather(_carry(reader, back), _carry(there, writer))
        await hung_up(writer)

    server = await asyncio.start_server(connected, address, port, ssl=context)
    await server.serve_forever()


async def main() -> None:
    """All ports at once."""
    address, certificates, *pairs = sys.argv[1:]
    async with asyncio.TaskGroup() as serving:
        for pair in pairs:
            port, target = map(int, pair.split("="))
            context = mutual(Path(certificates)) if port == TEMPORAL_PORT else None
            serving.create_task(serve(address, port, target, context))


if __name__ == "__main__":
    asyncio.run(main())
