"""The vendor's table of error codes (documented, not captured): code -> HTTP status, message."""

CODES: dict[int, tuple[int, str]] = {
    1000: (401, "authentication failed"),
    1001: (401, "authorization is empty"),
    1002: (401, "authorization is invalid"),
    1003: (401, "authorization is not yet valid"),
    1004: (401, "authorization has expired"),
    1100: (429, "account exception"),
    1101: (429, "account in arrears"),
    1102: (429, "resource pack is used up or has expired"),
    1103: (403, "no right to this resource"),
    1200: (400, "invalid request parameters"),
    1201: (400, "invalid parameters"),
    1202: (404, "the requested method is invalid"),
    1203: (404, "the requested resource does not exist"),
    1300: (400, "the platform's policy was triggered"),
    1301: (400, "the content security policy was triggered"),
    1302: (429, "too many requests"),
    1303: (429, "parallel tasks over the limit of the resource pack"),
    1304: (429, "the IP address is not on the whitelist"),
    5000: (500, "internal error"),
    5001: (503, "service temporarily unavailable"),
    5002: (504, "internal time-out"),
}
_BY_STATUS = {
    400: 1200,
    401: 1000,
    403: 1103,
    404: 1203,
    429: 1302,
    500: 5000,
    503: 5001,
    504: 5002,
}


def resolve(status: int | None, code: int | str | None) -> tuple[int, int | str, str]:
    """Status, code and message of a refusal of which one or the other may be told; else 5001."""
    if code is None:
        code = _BY_STATUS.get(status or 503, 5000)
    listed = CODES.get(int(code)) if str(code).isdecimal() else None
    usual, message = listed or (503, "refused")
    return status or usual, code, message
