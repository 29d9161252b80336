"""How Temporal is reached, and what is said if it is silent, refuses us, or lacks our namespace."""

import asyncio
from pathlib import Path
from uuid import uuid4

import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message
from temporalio.api.common.v1 import GrpcStatus
from temporalio.api.errordetails.v1 import NamespaceNotFoundFailure, NotFoundFailure
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Client
from temporalio.envconfig import ClientConfigProfile
from temporalio.service import RPCError, RPCStatusCode

from shared.errors import TemporalRefuses, TemporalUnavailable
from shared.health import connect_when_up, temporal_reason
from shared.http.problems import from_error
from shared.temporal.client import answer, connect, is_away
from shared.temporal.codec import PayloadKeys
from shared.temporal.namespace import KEYWORD
from shared.temporal.pace import Pace, between_beats
from shared.temporal.refusals import refusal
from tests.fixtures.eventually import eventually
from tests.fixtures.processes import free_port
from tests.fixtures.temporal import RETENTION
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


@pytest.fixture
async def bare(temporal_address: str) -> Client:
    return await Client.connect(temporal_address, namespace=f"test-{uuid4().hex[:12]}")


async def made(client: Client) -> None:
    await client.workflow_service.register_namespace(
        RegisterNamespaceRequest(
            namespace=client.namespace, workflow_execution_retention_period=RETENTION
        )
    )


async def added(client: Client, **kinds: int) -> None:
    await client.operator_service.add_search_attributes(
        AddSearchAttributesRequest(namespace=client.namespace, search_attributes=kinds)  # type: ignore[arg-type]
    )


async def test_attribute_of_another_type_is_named_with_it(bare: Client) -> None:
    await made(bare)
    await added(bare, CustomProgress=KEYWORD, CustomTag=KEYWORD)
    lacks = "search attributes: CustomProgress (Int, not Keyword); make namespace"
    # The server's parts hear of a namespace one after the other.
    await eventually(lambda: temporal_reason(bare), lambda reason: lacks in (reason or ""))


async def test_process_waits_for_its_namespace_and_reports_it(
    bare: Client, temporal_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", temporal_address)
    monkeypatch.setenv("TEMPORAL_NAMESPACE", bare.namespace)
    told: asyncio.Queue[str] = asyncio.Queue()
    waiting = asyncio.create_task(connect_when_up(PayloadKeys(), report=told.put_nowait))
    assert "is not found; make namespace" in await told.get()
    await made(bare)
    assert (await asyncio.wait_for(waiting, 60)).namespace == bare.namespace


# What the SDK was heard to say, before a server behind nginx and behind a plain front of TLS.
CONNECT = "Failed client connect: Server connection error: tonic::transport::Error(Transport, {})"
CERTIFICATE = CONNECT.format(
    "ConnectError(Custom {{ kind: InvalidData, error: InvalidCertificate({}) }}))"
)
CALL = "Failed client connect: `get_system_info` call error after connection: Status {{ {} }}"
OTHER_NAME = (
    'NotValidForNameContext { expected: DnsName("wrong.example"), presented:'
    ' ["DnsName(\\"temporal.example\\")", "IpAddress(127.0.0.1)"] }'
)
NGINX_400 = (
    'code: Internal, message: "protocol error: received message with invalid compression flag: 60'
    ' (valid flags are 0 and 1) while receiving response with status: 400 Bad Request"'
)
CONNECTIONS = {
    CERTIFICATE.format(OTHER_NAME): "for other names (temporal.example, 127.0.0.1)",
    CERTIFICATE.format("UnknownIssuer"): "TEMPORAL_TLS_SERVER_CA_CERT_PATH",
    CERTIFICATE.format("ExpiredContext { time: UnixTime(2), not_after: UnixTime(1) }"): "expired",
    CERTIFICATE.format("BadEncoding"): "is not valid (BadEncoding)",
    CONNECT.format("InconsistentKeys(KeyMismatch)"): "are not a certificate and its key",
    CONNECT.format("PrivateKeyParseError"): "are not a certificate and its key",
    CONNECT.format("InvalidMessage(InvalidContentType)"): "TEMPORAL_TLS=false",
    CONNECT.format("AlertReceived(UnknownCA)"): "client certificate (UnknownCA)",
    CALL.format('GoAway(b"", FRAME_SIZE_ERROR, Library)'): "TEMPORAL_TLS=true",
    CALL.format(NGINX_400): "answers 400 Bad Request: does it want a client certificate",
}
PASSING = [
    CONNECT.format('ConnectError("tcp connect error", Os { code: 111 })'),
    CONNECT.format('ConnectError("dns error", Custom { kind: Uncategorized })'),
    CALL.format('code: Unknown, message: "transport error", kind: UnexpectedEof'),
    CALL.format('code: Unavailable, message: "response with status: 502 Bad Gateway"'),
    CALL.format('code: Unavailable, message: "response with status: 429 Too Many Requests"'),
    CONNECT.format("AlertReceived(InternalError)"),
]


def failed(status: RPCStatusCode, message: str = "x", detail: Message | None = None) -> RPCError:
    packed = AnyMessage()
    if detail is not None:
        packed.Pack(detail)
    details = GrpcStatus(code=status, details=[packed] if detail else [])
    return RPCError(message, status, details.SerializeToString())


@pytest.mark.parametrize(("said", "says"), CONNECTIONS.items())
def test_impossible_connection_names_the_remedy(said: str, says: str) -> None:
    found = refusal(RuntimeError(said))
    assert found is not None
    assert says in found.message


@pytest.mark.parametrize("said", PASSING)
def test_temporary_failure_is_no_refusal(said: str) -> None:
    assert refusal(RuntimeError(said)) is None


@pytest.mark.parametrize("code", ["PermissionDenied", "Unauthenticated"])
def test_refused_key_of_the_first_call(code: str) -> None:
    found = refusal(RuntimeError(CALL.format(f'code: {code}, message: "Request unauthorized."')))
    assert found is not None
    assert "(Request unauthorized): check TEMPORAL_API_KEY" in found.message


def test_calls() -> None:
    for error, says in (
        (failed(RPCStatusCode.PERMISSION_DENIED), "refuses access (x): check TEMPORAL_API_KEY"),
        (failed(RPCStatusCode.UNAUTHENTICATED), "refuses access (x): check TEMPORAL_API_KEY"),
        (
            failed(RPCStatusCode.NOT_FOUND, "Namespace n", NamespaceNotFoundFailure()),
            "Namespace n; make namespace creates it",
        ),
        (failed(RPCStatusCode.NOT_FOUND, "no such run", NotFoundFailure()), None),
        (
            failed(
                RPCStatusCode.INVALID_ARGUMENT,
                "Namespace n has no mapping defined for search attribute CustomTag",
            ),
            "CustomTag; make namespace adds it",
        ),
        (failed(RPCStatusCode.INVALID_ARGUMENT, "BadRequest"), None),
        (failed(RPCStatusCode.UNAVAILABLE), None),
        (RuntimeError("ours"), None),
    ):
        found = refusal(error)
        assert found is None if says is None else found is not None and says in found.message


async def test_refusal_is_passed_on_without_retry_after() -> None:
    async def denied() -> None:
        raise failed(RPCStatusCode.PERMISSION_DENIED)

    with pytest.raises(TemporalRefuses) as refused:
        await answer(denied())
    response = from_error(refused.value)
    assert response.status_code == 503
    assert "retry-after" not in response.headers
