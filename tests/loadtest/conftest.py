"""The fake stack's parts, on the tests' own Temporal server and in a namespace of their own."""

import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from temporalio.client import Client

from loadtest.run.plan import Options
from loadtest.settings import Settings
from tests.loadtest.fakes import Behaviour, Pipeline
from tests.loadtest.synthetic import Synthetic


@pytest.fixture
def pipeline(client: Client, tmp_path: Path) -> Callable[[Behaviour], Pipeline]:
    """Makes a pipeline on a task queue of its own."""
    return lambda behaviour: Pipeline(
        client, tmp_path / "data", queue_name=f"fake-{uuid.uuid4().hex}", behaviour=behaviour
    )


@pytest.fixture
def settings(client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings that reach the tests' Temporal, the way a user sets them: by the environment."""
    address = client.service_client.config.target_host
    monkeypatch.setenv("TEMPORAL_ADDRESS", address)
    monkeypatch.setenv("TEMPORAL_NAMESPACE", client.namespace)
    return Settings(data_dir=tmp_path / "data", reports_dir=tmp_path / "reports")


@pytest.fixture
def honest(tmp_path: Path) -> Synthetic:
    """Six jobs in two stages, of which nothing bad is to be said."""
    return Synthetic(tmp_path, plan=Options(stages="1,5", seed="7").plan()).write()
