"""Whose certificates a mock believes, where it is told addresses with TLS."""

import ssl
from functools import cache

import httpx


@cache
def trusted() -> ssl.SSLContext:
    """Read once for all clients: it takes longer than most generations of a fast mock."""
    return httpx.create_ssl_context(trust_env=False)
