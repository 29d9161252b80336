"""Tell a Temporal that refuses us from one that is away: what is wrong, and what fixes it."""

import re
from collections.abc import Sequence

from temporalio.service import RPCError, RPCStatusCode

from shared.errors import TemporalRefuses
from shared.semaphore.server import names_namespace

# The beginning of the SDK's message about a failed connection.
NOT_CONNECTED = "Failed client connect"
PREPARE = "make namespace"
_FORBIDDEN = frozenset({RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNAUTHENTICATED})
_KEYS = "TEMPORAL_API_KEY, TEMPORAL_NAMESPACE, or the client certificate"
_CERTIFICATE = "TEMPORAL_TLS_CLIENT_CERT_PATH and TEMPORAL_TLS_CLIENT_KEY_PATH"
_ATTRIBUTE = re.compile(r"search attribute.*\bCustom(Progress|Tag)\b")
_SAID = re.compile(r'code: (?:PermissionDenied|Unauthenticated), message: "([^"]*)"')
# By the SDK's message: what is wrong, and what fixes it. A closed connection is not among them,
# because a server that starts closes connections, too.
_CONNECTIONS: Sequence[tuple[str, str]] = (
    (
        r"InvalidCertificate\(NotValidForName.*?presented: \[(.*?)\]",
        "the server's certificate is for other names ({}): set TEMPORAL_TLS_SERVER_NAME",
    ),
    (
        r"InvalidCertificate\((UnknownIssuer)\)",
        "the server's certificate is signed by an authority that isn't trusted: set"
        " TEMPORAL_TLS_SERVER_CA_CERT_PATH",
    ),
    (
        r"InvalidCertificate\((Expired|NotValidYet)",
        "the server's certificate has expired or isn't valid yet: renew it, or set this"
        " machine's clock",
    ),
    (r"InvalidCertificate\((\w+)", "the server's certificate is not valid ({})"),
    (
        r"(InvalidContentType)",
        "the server speaks no TLS at this address: TEMPORAL_TLS=false, without certificates",
    ),
    (
        r"(FRAME_SIZE_ERROR)",
        "the server at this address takes no gRPC without TLS: TEMPORAL_TLS=true",
    ),
    (
        r"(InconsistentKeys|PrivateKeyParseError)",
        f"{_CERTIFICATE} are not a certificate and its key: check them with openssl x509 and"
        " openssl pkey",
    ),
    (
        r"AlertReceived\((\w*Certificate\w*|UnknownCA|AccessDenied)\)",
        f"the server doesn't take our client certificate ({{}}): {_CERTIFICATE}",
    ),
    (
        r"response with status: (4(?!08|25|29)\d\d [\w ]+)",
        f"the proxy before Temporal answers {{}}: does it want a client certificate"
        f" ({_CERTIFICATE})?",
    ),
)


def refusal(error: BaseException) -> TemporalRefuses | None:
    """Return the refusal with its fix; None for any other error."""
    text = str(error)
    if isinstance(error, RPCError):
        wrong = _of_call(error)
    elif isinstance(error, RuntimeError) and text.startswith(NOT_CONNECTED):
        wrong = _of_connection(text)
    else:
        wrong = None
    return None if wrong is None else TemporalRefuses(wrong)


def lacking(attributes: str) -> TemporalRefuses:
    return TemporalRefuses(
        f"the namespace lacks search attributes: {attributes}; {PREPARE} adds them, or"
        f" prints the commands"
    )


def _of_call(error: RPCError) -> str | None:
    said = error.message.strip().rstrip(".")
    if names_namespace(error):
        return f"{said}; {PREPARE} creates it, or prints the commands"
    if error.status in _FORBIDDEN:
        return _forbidden(said)
    if error.status is RPCStatusCode.INVALID_ARGUMENT and _ATTRIBUTE.search(error.message):
        return f"{said}; {PREPARE} adds it, or prints the commands"
    return None


def _of_connection(text: str) -> str | None:
    if said := _SAID.search(text):
        return _forbidden(said[1].strip().rstrip("."))
    for pattern, says in _CONNECTIONS:
        if found := re.search(pattern, text):
            # Names of a certificate, without the SDK's decoration.
            names = re.findall(r'\w+\(\\*"?([^"\\)]+)\\*"?\)', found[1])
            return says.format(", ".join(names) or found[1])
    return None


def _forbidden(said: str) -> str:
    return f"Temporal refuses access ({said}): check {_KEYS}, and their permissions"
