"""Call our own services on loopback; a refusal is reported in their words."""

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

from compose.stack.output import UNREACHABLE, USAGE, StackError
from compose.stack.services import API
from compose.stack.settings import Settings
from shared.http.hosts import PROCESS_HEADER

ANSWER_SECONDS = 10.0
READY_SECONDS = 3.0
# A service on loopback is never called through a proxy.
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Unanswered(StackError):
    """The service gave no answer, or is not ready."""


def api(settings: Settings, path: str, body: object = None) -> Any:
    token = settings.values.get("API_TOKEN")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return call(f"{settings.url(API.port)}{path}", body, headers=headers)


def call(
    url: str, body: object = None, *, method: str | None = None, headers: Mapping[str, str] = {}
) -> Any:
    """Return the answer of one of our services; raise StackError in its words if it refuses."""
    request = urllib.request.Request(  # noqa: S310 - our own http address
        url,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json", **headers},
    )
    try:
        with _DIRECT.open(request, timeout=ANSWER_SECONDS) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        later = body is None and error.code in (404, 429, 503)
        kind = Unanswered if later else StackError
        status = UNREACHABLE if error.code in (503, 504) else USAGE
        raise kind(f"{url} refuses: {_detail(error)}", status) from error
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise Unanswered(f"{url} does not answer ({reason}); make ps", UNREACHABLE) from error


def why_not(url: str, group: int) -> str | None:
    """Return why the address does not answer 200, or None; an answer of another process group
    counts as none."""
    try:
        with _DIRECT.open(url, timeout=READY_SECONDS) as answer:
            ours = answer.headers.get(PROCESS_HEADER) == str(group)
            return None if ours else f"another process answers at {url}"
    except urllib.error.HTTPError as error:
        return _detail(error)
    except (OSError, http.client.HTTPException) as error:
        return f"no answer ({getattr(error, 'reason', error)})"


def _detail(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.loads(error.read())["detail"])
    except (OSError, ValueError, KeyError, TypeError):
        return f"answers {error.code}"
