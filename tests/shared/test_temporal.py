"""Temporal from outside: away is one error, within a bounded time; the rest stays what it is."""

import asyncio

import pytest
from temporalio.service import RPCError, RPCStatusCode

from shared.errors import TemporalUnavailable
from shared.temporal import AWAY, answer, is_away
from tests.shared.processes import free_port
from tests.shared.standins import client_of_nobody


async def _raise(error: Exception) -> None:
    raise error


@pytest.mark.parametrize("status", sorted(AWAY))
async def test_away_is_one_error(status: RPCStatusCode) -> None:
    with pytest.raises(TemporalUnavailable):
        await answer(_raise(RPCError("x", status, b"")))


async def test_what_is_slower_than_asked_is_away() -> None:
    with pytest.raises(TemporalUnavailable):
        await answer(asyncio.Event().wait(), seconds=0.01)


async def test_a_server_that_is_not_there() -> None:
    client = await client_of_nobody(free_port())
    with pytest.raises(TemporalUnavailable):
        await answer(client.get_workflow_handle("x").describe(), seconds=0.5)


async def test_the_rest_stays_what_it_is() -> None:
    missing = RPCError("x", RPCStatusCode.NOT_FOUND, b"")
    assert not is_away(missing)
    with pytest.raises(RPCError):
        await answer(_raise(missing))
    with pytest.raises(RuntimeError, match="ours"):
        await answer(_raise(RuntimeError("ours")))
    assert await answer(asyncio.sleep(0, 7)) == 7
