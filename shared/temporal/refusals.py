"""Why Temporal won't have us, told from one that is away: what is wrong, and what mends it."""

import re
from collections.abc import Sequence

from temporalio.service import RPCError, RPCStatusCode

from shared.errors import (
    AttributesMissing,
    NamespaceMissing,
    TemporalForbids,
    TemporalRefuses,
    TlsUnfit,
)
from shared.semaphore.server import names_namespace

# How the SDK begins what it says of a connection that could not be made.
NOT_CONNECTED = "Failed client connect"
PREPARE = "make namespace"
_FORBIDDEN = frozenset({RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNAUTHENTICATED})
_KEYS = "TEMPORAL_API_KEY, TEMPORAL_NAMESPACE, or the client certificate"
_CERTIFICATE = "TEMPORAL_TLS_CLIENT_CERT_PATH and TEMPORAL_TLS_CLIENT_KEY_PATH"
_ATTRIBUTE = re.compile(r"search attribute.*\bCustom(Progress|Tag)\b")
_SAID = re.compile(r'code: (?:PermissionDenied|Unauthenticated), message: "([^"]*)"')
# By what the SDK says of a connection: what is wrong, and what mends it. An end without a word
# is not among them, for a server that starts ends connections, too.
_CONNECTIONS: Sequence[tuple[str, str]] = (
    (
        r"InvalidCertificate\(NotValidForName.*?presented: \[(.*?)\]",
        "the server's certificate is for other names ({}): say which with TEMPORAL_TLS_SERVER_NAME",
    ),
    (
        r"InvalidCertificate\((UnknownIssuer)\)",
        "the server's certificate is signed by an authority that isn't trusted: name that with"
        " TEMPORAL_TLS_SERVER_CA_CERT_PATH",
    ),
    (
        r"InvalidCertificate\((Expired|NotValidYet)",
        "the server's certificate has expired or isn't valid yet: have it renewed, or set this"
        " machine's clock",
    ),
    (r"InvalidCertificate\((\w+)", "the server's certificate is not valid ({})"),
    (
        r"(InvalidContentType)",
        "the server speaks no TLS at this address: TEMPORAL_TLS=false, without certificates",
    ),
    (
        r"(FRAME_SIZE_ERROR)",
        "what answers at this address is no gRPC without TLS: TEMPORAL_TLS=true",
    ),
    (
        r"(InconsistentKeys|PrivateKeyParseError)",
        f"{_CERTIFICATE} are no certificate and its key: openssl x509 and openssl pkey show them",
    ),
    (
        r"AlertReceived\((\w*Certificate\w*|UnknownCA|AccessDenied)\)",
        f"the server doesn't take our client certificate ({{}}): {_CERTIFICATE}",
    ),
    (
        r"response with status: (4(?!08|25|29)\d\d [\w ]+)",
        f"what stands before Temporal answers {{}}: does it want a client certificate"
        f" ({_CERTIFICATE})?",
    ),
)


def refusal(error: BaseException) -> TemporalRefuses | None:
    """What is to be mended before Temporal has us; None for any other error, or one that passes."""
    if isinstance(error, RPCError):
        return _of_call(error)
    if isinstance(error, RuntimeError) and str(error).startswith(NOT_CONNECTED):
        return _of_connection(str(error))
    return None


def lacking(attributes: str) -> AttributesMissing:
    """The error that names search attributes with their types."""
    return AttributesMissing(
        f"the namespace lacks search attributes: {attributes}; {PREPARE} adds them, or tells how"
    )


def _of_call(error: RPCError) -> TemporalRefuses | None:
    if names_namespace(error):
        return NamespaceMissing(f"{_sentence(error.message)}; {PREPARE} makes it, or tells how")
    if error.status in _FORBIDDEN:
        return _forbidden(error.message)
    if error.status is RPCStatusCode.INVALID_ARGUMENT and _ATTRIBUTE.search(error.message):
        return AttributesMissing(f"{_sentence(error.message)}; {PREPARE} adds it, or tells how")
    return None


def _of_connection(text: str) -> TemporalRefuses | None:
    if said := _SAID.search(text):
        return _forbidden(said[1])
    for pattern, says in _CONNECTIONS:
        if found := re.search(pattern, text):
            return TlsUnfit(says.format(_plain(found[1])))
    return None


def _forbidden(said: str) -> TemporalForbids:
    return TemporalForbids(
        f"Temporal does not let us in ({_sentence(said)}): look at {_KEYS}, and at what they may do"
    )


def _plain(found: str) -> str:
    """Names as they stand in a certificate, without what the SDK puts around them."""
    return ", ".join(re.findall(r'\w+\(\\*"?([^"\\)]+)\\*"?\)', found)) or found


def _sentence(text: str) -> str:
    return text.strip().rstrip(".")
