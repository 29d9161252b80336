"""How Temporal is reached, and how soon its silence is noticed."""

import asyncio
from pathlib import Path

import pytest
from temporalio.envconfig import ClientConfigProfile
from temporalio.service import RPCError, RPCStatusCode

from shared.errors import TemporalUnavailable
from shared.temporal.client import answer, connect, is_away
from shared.temporal.codec import PayloadKeys
from shared.temporal.pace import Pace, between_beats
from tests.fixtures.processes import free_port
from tests.shared.standins import client_of_nobody


async def _raise(error: Exception) -> None:
    raise error


async def test_slow_answer_counts_as_unreachable() -> None:
    with pytest.raises(TemporalUnavailable):
        await answer(asyncio.Event().wait(), seconds=0.01)


async def test_missing_server() -> None:
    client = await client_of_nobody(free_port())
    with pytest.raises(TemporalUnavailable):
        await answer(client.get_workflow_handle("x").describe(), seconds=0.5)


async def test_other_errors_are_unchanged() -> None:
    missing = RPCError("x", RPCStatusCode.NOT_FOUND, b"")
    assert not is_away(missing)
    with pytest.raises(RPCError):
        await answer(_raise(missing))
    with pytest.raises(RuntimeError, match="ours"):
        await answer(_raise(RuntimeError("ours")))
    assert await answer(asyncio.sleep(0, 7)) == 7


async def test_local_files_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A profile of somebody's, with a key of theirs, would go along to whatever server we ask."""
    file = tmp_path / "temporalio" / "temporal.toml"
    file.parent.mkdir()
    file.write_text(
        '[profile.default]\naddress = "a.example:1"\nnamespace = "theirs"\napi_key = "k"\n'
    )
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert ClientConfigProfile.load().namespace == "theirs"
    monkeypatch.setenv("TEMPORAL_ADDRESS", f"127.0.0.1:{free_port()}")
    client = await connect(PayloadKeys(()), lazy=True)
    config = client.service_client.config
    assert (client.namespace, config.api_key, config.tls) == ("default", None, None)


@pytest.mark.parametrize("pace", Pace)
def test_one_of_two_heartbeats_may_be_lost(pace: Pace) -> None:
    for timeout in (pace.times.work, pace.times.wait, pace.times.watch):
        assert 2 * between_beats(timeout) < timeout.total_seconds()
