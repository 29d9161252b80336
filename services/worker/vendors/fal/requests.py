"""A request of fal's as it is kept: the path of its own address, below that of the queue."""

from typing import Any

import httpx

from services.worker.vendors.ids import ANOTHER
from shared.errors import OutcomeUnknown

LONGEST_ID = 200
_PORTS = {"http": 80, "https": 443}


def kept(answer: dict[str, Any], base: httpx.URL, model: str) -> str:
    """By which a request that was taken is found again, whatever FAL_MODEL says by then.

    Of the address that the answer names, or as documented where that is none of the queue's.
    """
    request_id = answer.get("request_id")
    if not _is_id(request_id):
        raise OutcomeUnknown("The submit was answered without a request_id.")
    named = (below(base, answer.get("status_url")) or "").removesuffix("/status")
    return named if named.endswith(f"/{request_id}") else f"{app_of(model)}/requests/{request_id}"


def check_request(task_id: str, *named: object) -> None:
    """Raise OutcomeUnknown where other requests are named than the one kept as `task_id`."""
    if any(named) and task_id.rpartition("/")[2] not in named:
        raise OutcomeUnknown(ANOTHER)


def app_of(model: str) -> str:
    """Whose requests are asked for: what stands behind is one of its endpoints."""
    return "/".join(model.split("/")[:2])


def below(base: httpx.URL, address: object) -> str | None:
    """The path of an address below the queue's own; None where it leads anywhere else.

    The key goes along with each call, and to nobody else.
    """
    try:
        url = httpx.URL(address) if isinstance(address, str) else None
    except httpx.InvalidURL:
        return None
    root = f"{base.path.rstrip('/')}/"
    if url is None or _origin(url) != _origin(base) or not url.path.startswith(root):
        return None
    path = url.path[len(root) :]
    return path if _is_plain(path) and not url.query and not url.fragment else None


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port or _PORTS.get(url.scheme)


def _is_id(text: object) -> bool:
    return isinstance(text, str) and 0 < len(text) <= LONGEST_ID and _is_plain(text, more="")


def _is_plain(path: str, more: str = "/") -> bool:
    """Whether it is the same path to whoever reads it."""
    signs = f"-_.{more}"
    return all(each.isascii() and (each.isalnum() or each in signs) for each in path) and not (
        {".", ".."} & set(path.split("/"))
    )
