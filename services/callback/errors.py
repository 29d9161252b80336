"""By what more than one part of the receiver refuses a callback."""

from shared.errors import GenvideoError


class NotAuthorized(GenvideoError, code="not_authorized", status=401, title="Not authorized"):
    """The operator's key is missing or wrong."""


class NotKept(
    GenvideoError,
    code="not_kept",
    status=503,
    title="The callback could not be kept",
    retryable=True,
):
    """The disk, or the store, does not take it, or too many wait for it."""
