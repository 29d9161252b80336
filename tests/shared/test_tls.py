"""Temporal behind TLS and mutual TLS, by the settings of the SDK's own names."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from temporalio.client import Client

from shared.health import temporal_reason
from shared.temporal.client import connect
from shared.temporal.codec import PayloadKeys
from shared.temporal.namespace import why
from tests.fixtures.streams import Authority, Pair, tls_front

NAME = "temporal.example"
Told = pytest.MonkeyPatch


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
async def mutual(client: Client, authority: Authority) -> AsyncIterator[str]:
    """An address where who has no certificate of the authority's is not let in."""
    address = client.service_client.config.target_host
    async with tls_front(address, authority.signed(NAME), asks_for=authority.root) as front:
        yield front


@pytest.fixture
def told(client: Client, monkeypatch: Told, authority: Authority) -> Told:
    """Settings: the namespace of the test's own, and whom to trust."""
    monkeypatch.setenv("TEMPORAL_NAMESPACE", client.namespace)
    monkeypatch.setenv("TEMPORAL_TLS_SERVER_CA_CERT_PATH", str(authority.root))
    return monkeypatch


async def reason(address: str, told: Told, pair: Pair | None = None) -> str | None:
    """What `/readyz` would say of Temporal at this address."""
    told.setenv("TEMPORAL_ADDRESS", address)
    for name, path in {"CERT": pair.cert, "KEY": pair.key}.items() if pair else ():
        told.setenv(f"TEMPORAL_TLS_CLIENT_{name}_PATH", str(path))
    return await temporal_reason(await connect(PayloadKeys(), lazy=True), seconds=60)


async def test_client_with_its_certificate_is_accepted(
    mutual: str, told: Told, authority: Authority
) -> None:
    assert await reason(mutual, told, authority.signed("worker")) is None
    told.setenv("TEMPORAL_TLS_SERVER_NAME", NAME)
    assert await reason(mutual, told) is None


async def test_client_without_its_certificate_is_refused(
    mutual: str, told: Told, tmp_path: Path
) -> None:
    strangers = Authority(tmp_path, "stranger").signed("worker")
    for pair in (None, strangers):
        said = await reason(mutual, told, pair)
        assert said is not None
        assert "does it want TLS, or a client certificate" in said


async def test_mistake_on_the_servers_side_is_reported(
    client: Client, told: Told, authority: Authority, tmp_path: Path
) -> None:
    address = client.service_client.config.target_host
    stranger = Authority(tmp_path, "stranger")
    async with tls_front(address, authority.signed(NAME, ended=True)) as ended:
        assert "has expired" in str(await reason(ended, told))
    async with tls_front(address, stranger.signed(NAME)) as strange:
        assert "TEMPORAL_TLS_SERVER_CA_CERT_PATH" in str(await reason(strange, told))
    assert "speaks no TLS" in str(await reason(address, told))
    told.setenv("TEMPORAL_TLS_SERVER_NAME", "other.example")
    async with tls_front(address, authority.signed(NAME)) as front:
        assert "for other names (temporal.example, 127.0.0.1)" in str(await reason(front, told))


@pytest.mark.parametrize(
    ("said", "asked"),
    [
        ('Status { code: Unknown, message: "transport error" }', True),
        ('hyper::Error(Canceled, "connection closed")', True),
        ('tcp connect error, 127.0.0.1:1, Os { code: 111, message: "Connection refused" }', False),
    ],
)
def test_closed_connection_hints_at_tls(said: str, asked: bool) -> None:
    assert ("does it want TLS" in why(RuntimeError(said))) is asked
