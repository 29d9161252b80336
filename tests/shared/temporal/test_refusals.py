"""A Temporal that refuses us is distinguished from one that is away, with the remedy."""

import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message
from temporalio.api.common.v1 import GrpcStatus
from temporalio.api.errordetails.v1 import NamespaceNotFoundFailure, NotFoundFailure
from temporalio.service import RPCError, RPCStatusCode

from shared.errors import TemporalRefuses
from shared.http.problems import from_error
from shared.temporal.client import answer
from shared.temporal.refusals import refusal

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
