"""A callback on its way, and what the fault plan makes of it before it leaves."""

import asyncio
import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from services.mock_core.faults.kinds import callback
from services.mock_core.faults.plan import Hit
from services.mock_core.ledger.generation import Generation

# Another generation than this one, for callbacks that go astray.
Other = Callable[[Generation], Generation | None]
Describe = Callable[[Generation], dict[str, Any]]
_GARBAGE = b"<html><body>gateway</body></html>"


def encode(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False).encode("utf-8", "surrogatepass")


def envelope(body: Mapping[str, Any]) -> dict[str, Any]:
    """The other form that copies of the documentation show."""
    return {"code": 0, "message": "SUCCEED", "request_id": str(uuid.uuid4()), "data": dict(body)}


@dataclass(slots=True, eq=False)
class Delivery:
    """What is sent, where, when, and what is to be noted about it. Lengths are nominal seconds."""

    generation: Generation
    url: str
    status: str
    body: bytes
    wait: float = 0.0
    note: str = ""
    # It was spoilt on purpose: a refusal by the receiver is an answer too.
    bent: bool = False
    content_type: str = "application/json"
    schedule: tuple[float, ...] | None = None
    heed: bool | None = None
    drip: tuple[float, int] | None = None
    # (wait after the end was told, wait at most for that)
    after_poll: tuple[float, float] | None = None
    delivery_id: str = field(default_factory=lambda: f"msg_{uuid.uuid4().hex}")
    tried: asyncio.Event = field(default_factory=asyncio.Event)

    def again(self, wait: float, note: str) -> "Delivery":
        return replace(self, wait=self.wait + wait, note=note, tried=asyncio.Event())

    def mark(self, note: str, *, bent: bool = False) -> None:
        self.note = f"{self.note}, {note}" if self.note else note
        self.bent = self.bent or bent


def bend_content(
    body: dict[str, Any], hits: tuple[Hit, ...], *, other: Generation | None
) -> dict[str, Any]:
    """What the callback says, before it is put into words."""
    for hit in hits:
        match hit.fault:
            case callback.UnknownJob():
                body = _unknown(body, hit.quantile)
            case callback.OtherJob():
                body = _renamed(body, other, hit.quantile)
            case callback.Contradict():
                says = "succeed" if body["task_status"] == "failed" else "failed"
                body = {**body, "task_status": says}
            case callback.Oversize(bytes=size):
                body = {**body, "padding": "x" * size}
    return body


def bend_delivery(delivery: Delivery, hits: tuple[Hit, ...], *, other: Generation | None) -> None:
    """How the callback travels: address, bytes, pace, schedule."""
    for hit in hits:
        match hit.fault:
            case (
                callback.UnknownJob()
                | callback.OtherJob()
                | callback.Contradict()
                | callback.Oversize()
            ):
                delivery.mark(hit.fault.do, bent=True)
            case callback.Token(how=how):
                delivery.url = _with_token(delivery.url, how, other)
                delivery.mark(f"{how} token", bent=True)
            case callback.Truncate(keep=keep):
                kept = delivery.body[: int(len(delivery.body) * keep)]
                delivery.body = kept.decode("utf-8", "ignore").encode()
                delivery.mark("truncated", bent=True)
            case callback.Garbage():
                delivery.body = _GARBAGE
                delivery.mark("garbage", bent=True)
            case callback.WrongType(content_type=content_type):
                delivery.content_type = content_type
                delivery.mark("wrong type", bent=True)
            case callback.Drip(seconds=seconds, drops=drops):
                delivery.drip = (seconds.at(hit.quantile), drops)
                delivery.mark("dripped", bent=True)
            case callback.Resend(schedule=schedule, heed=heed):
                delivery.schedule, delivery.heed = schedule, heed
            case callback.Delay(seconds=seconds):
                delivery.wait += seconds.at(hit.quantile)
                delivery.mark("delayed")
            case callback.AfterPoll(seconds=seconds, within=within):
                delivery.after_poll = (seconds.at(hit.quantile), within)
                delivery.mark("after the poll")


def _unknown(body: dict[str, Any], quantile: float) -> dict[str, Any]:
    number = int(quantile * 10**17)
    return {
        **body,
        "task_id": str(9 * 10**17 + number),
        "task_info": {"external_task_id": f"unknown-{number:x}"},
    }


def _renamed(body: dict[str, Any], other: Generation | None, quantile: float) -> dict[str, Any]:
    if other is None:
        return _unknown(body, quantile)
    return {
        **body,
        "task_id": other.id,
        "task_info": {"external_task_id": other.external_id},
    }


def _with_token(url: str, how: str, other: Generation | None) -> str:
    """The address with its token spoilt; the token is the member of that name, else the last."""
    parts = urlsplit(url)
    members = parse_qsl(parts.query, keep_blank_values=True)
    names = [name for name, _ in members]
    if not names:
        return url
    token = "token" if "token" in names else names[-1]
    if how == "missing":
        changed = [(name, value) for name, value in members if name != token]
    else:
        changed = [
            (name, _other_token(value, token, how, other=other) if name == token else value)
            for name, value in members
        ]
    return urlunsplit(parts._replace(query=urlencode(changed)))


def _other_token(value: str, name: str, how: str, *, other: Generation | None) -> str:
    if how == "stale" and other is not None and other.callback_url is not None:
        found = dict(parse_qsl(urlsplit(other.callback_url).query)).get(name)
        if found is not None and found != value:
            return found
    # As long as the right one, and different in each place.
    return "".join("0" if mark != "0" else "1" for mark in value)
