"""What the Temporal server has counted of each action, by the numbers that it gives of itself."""

import re
from collections import Counter
from urllib.parse import urlsplit

from loadtest.wire.http import Http, Unreachable

_LINE = re.compile(r"^action\{(.+)\} ([0-9.e+]+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')


async def counted(url: str, namespace: str) -> dict[str, float] | None:
    """The actions since the server began, by type; None where nobody tells of any namespace's."""
    place = urlsplit(url)
    if not place.netloc:
        return None
    try:
        async with Http(f"{place.scheme}://{place.netloc}", timeout=10, connections=1) as http:
            answer = await http.get(place.path)
    except Unreachable:
        return None
    told = answer.ok and _LINE.search(answer.text)
    return read(answer.text, namespace) if told else None


def read(text: str, namespace: str) -> dict[str, float]:
    """The actions of a namespace out of a Prometheus text."""
    found: Counter[str] = Counter()
    for labels, value in _LINE.findall(text):
        told = dict(_LABEL.findall(labels))
        if told.get("namespace") == namespace:
            found[told.get("action_type", "")] += round(float(value))
    return {kind: float(count) for kind, count in found.items()}
