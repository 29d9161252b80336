"""The mocks' client: a connection is given up before its server does so."""

import pytest
import uvicorn

from services.mock_core.lib import client
from tests.fixtures.streams import Reader, Writer, serving

ANSWER = b"HTTP/1.1 204 No Content\r\n\r\n"


@pytest.mark.parametrize(("kept_seconds", "connections"), [(0.0, 2), (60.0, 1)])
async def test_an_idle_connection_is_used_again_for_so_long(
    monkeypatch: pytest.MonkeyPatch, kept_seconds: float, connections: int
) -> None:
    monkeypatch.setattr(client, "KEEPALIVE_SECONDS", kept_seconds)
    met = []

    async def answer(reader: Reader, writer: Writer) -> None:
        met.append(writer)
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write(ANSWER)
            await writer.drain()

    async with (
        serving(answer) as port,
        client.http_client(seconds=60, connections=2, kept=2) as http,
    ):
        for _ in range(2):
            assert (await http.get(f"http://127.0.0.1:{port}/")).status_code == 204
    assert len(met) == connections


def test_it_is_for_less_long_than_a_server_keeps_it() -> None:
    assert uvicorn.Config("none:none").timeout_keep_alive > client.KEEPALIVE_SECONDS
