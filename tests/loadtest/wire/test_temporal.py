"""The load test asks the server that it is told of, and no other one."""

from pathlib import Path

import pytest

from loadtest.settings import Settings
from loadtest.wire.http import Unreachable
from loadtest.wire.temporal import connect
from tests.shared.processes import free_port


async def test_no_file_that_lies_around_names_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs, ours = free_port(), free_port()
    file = tmp_path / "temporalio" / "temporal.toml"
    file.parent.mkdir()
    file.write_text(f'[profile.default]\naddress = "127.0.0.1:{theirs}"\n')
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("TEMPORAL_ADDRESS", raising=False)
    with pytest.raises(Unreachable, match=f"127.0.0.1:{ours}"):
        await connect(Settings(temporal_address=f"127.0.0.1:{ours}"))
