"""Asks one service whether it is ready; answers with the reason where it is not."""

import http.client
import json
import urllib.error
import urllib.request

from compose.stack import services
from compose.stack.services import TEMPORAL, WORKER
from compose.stack.settings import Settings

PATIENCE = 3.0
# Loopback is never asked through a proxy.
LOOPBACK = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def reason(url: str) -> str | None:
    """Why the address does not answer 200, or None where it does."""
    try:
        with LOOPBACK.open(url, timeout=PATIENCE):
            return None
    except urllib.error.HTTPError as error:
        return detail(error)
    except (OSError, http.client.HTTPException) as error:
        return f"no answer ({getattr(error, 'reason', error)})"


def detail(error: urllib.error.HTTPError) -> str:
    """The reason out of a problem body, else the status."""
    try:
        problem = json.loads(error.read())
        return str(problem["detail"])
    except (OSError, ValueError, KeyError, TypeError):
        return f"answers {error.code}"


def reason_local(settings: Settings, service: str, *, index: int = 0) -> str | None:
    """Why a process of the embedded mode is not ready, or None where it is."""
    if service == TEMPORAL.name:
        return reason(f"{settings.url(services.UI_PORT)}/healthz")
    port = next(item.port for item in services.ALL if item.name == service)
    number = settings.ports[port] + (index if service == WORKER.name else 0)
    return reason(f"http://{settings.reach}:{number}/readyz")
