"""A callback before it leaves: its delivery, and how the fault plan changes it."""

import asyncio
import base64
import binascii
import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from standardwebhooks.webhooks import Webhook

from services.mock_core.faults.kinds import (
    CallbackAfterPoll,
    CallbackContradict,
    CallbackDelay,
    CallbackDrip,
    CallbackGarbage,
    CallbackOtherJob,
    CallbackOversize,
    CallbackResend,
    CallbackToken,
    CallbackTruncate,
    CallbackUnknownJob,
    CallbackWrongType,
)
from services.mock_core.ledger.generation import Generation

if TYPE_CHECKING:
    # Imported here, because the settings use a part of this module.
    from services.mock_core.faults.plan import Hit

Pause = Annotated[float, Field(ge=0, le=10_000_000)]
_PREFIX = "whsec_"


def _secret(value: str) -> str:
    try:
        key = base64.b64decode(value.removeprefix(_PREFIX), validate=True)
    except binascii.Error as error:
        raise ValueError("must be base64, with or without whsec_ before it") from error
    if len(key) < 16:
        raise ValueError("needs at least 16 bytes")
    return value


Secret = Annotated[str, AfterValidator(_secret)]


class CallbackPolicy(BaseModel):
    """`schedule` has the nominal seconds before each try; `heed` ends it at the first 2xx.

    The vendor documents neither; one try is the default. While the secret is rotated there are two.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schedule: Annotated[tuple[Pause, ...], Field(min_length=1, max_length=50)] = (0.0,)
    heed: bool = True
    form: Literal["flat", "envelope"] = "flat"
    signing_secret: Secret | None = None
    old_signing_secret: Secret | None = None

    def sign(self, delivery_id: str, body: bytes) -> dict[str, str]:
        """Return Standard Webhooks' headers with a signature for each secret; none without a
        secret."""
        secrets = [each for each in (self.signing_secret, self.old_signing_secret) if each]
        if not secrets:
            return {}
        now = datetime.now(UTC)
        signatures = [Webhook(secret).sign(delivery_id, now, body.decode()) for secret in secrets]
        return {
            "webhook-id": delivery_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": " ".join(signatures),
        }


# Returns another generation than this one, for misdirected callbacks.
Other = Callable[[Generation], Generation | None]
Body = dict[str, Any]


@dataclass(frozen=True)
class Wording:
    """The vendor's own form of a callback: the body for a generation, the same body for another
    task, and the body with the opposite end."""

    describe: Callable[[Generation], Body]
    rename: Callable[[Body, str, str | None], Body]
    contradict: Callable[[Body], Body]


_GARBAGE = b"<html><body>gateway</body></html>"


def encode(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False).encode("utf-8", "surrogatepass")


def envelope(body: Mapping[str, Any]) -> dict[str, Any]:
    """Wrap a body in the other form that copies of the documentation show."""
    return {"code": 0, "message": "SUCCEED", "request_id": str(uuid.uuid4()), "data": dict(body)}


@dataclass(slots=True, eq=False)
class Delivery:
    """What is sent, where, when, and what is noted about it. Lengths are nominal seconds."""

    generation: Generation
    url: str
    status: str
    body: bytes
    wait: float = 0.0
    note: str = ""
    # Damaged on purpose: a refusal by the receiver counts as an answer, too.
    bent: bool = False
    content_type: str = "application/json"
    schedule: tuple[float, ...] | None = None
    heed: bool | None = None
    drip: tuple[float, int] | None = None
    # (wait after the end was reported, longest wait for that)
    after_poll: tuple[float, float] | None = None
    delivery_id: str = field(default_factory=lambda: f"msg_{uuid.uuid4().hex}")
    tried: asyncio.Event = field(default_factory=asyncio.Event)

    def again(self, wait: float, note: str) -> "Delivery":
        return replace(self, wait=self.wait + wait, note=note, tried=asyncio.Event())

    def mark(self, note: str, *, bent: bool = False) -> None:
        self.note = f"{self.note}, {note}" if self.note else note
        self.bent = self.bent or bent


def bend_content(
    body: Body, hits: tuple["Hit", ...], *, other: Generation | None, wording: Wording
) -> Body:
    """Let faults change the content of a callback."""
    for hit in hits:
        match hit.fault:
            case CallbackOtherJob() if other is not None:
                body = wording.rename(body, other.id, other.external_id)
            case CallbackUnknownJob() | CallbackOtherJob():
                number = int(hit.quantile * 10**17)
                body = wording.rename(body, str(9 * 10**17 + number), f"unknown-{number:x}")
            case CallbackContradict():
                body = wording.contradict(body)
            case CallbackOversize(bytes=size):
                body = {**body, "padding": "x" * size}
    return body


def bend_delivery(delivery: Delivery, hits: tuple["Hit", ...], *, other: Generation | None) -> None:
    """Let faults change how a callback travels: address, bytes, pace, schedule."""
    for hit in hits:
        match hit.fault:
            case (
                CallbackUnknownJob()
                | CallbackOtherJob()
                | CallbackContradict()
                | CallbackOversize()
            ):
                delivery.mark(hit.fault.do, bent=True)
            case CallbackToken(how=how):
                delivery.url = _with_token(delivery.url, how, other)
                delivery.mark(f"{how} token", bent=True)
            case CallbackTruncate(keep=keep):
                kept = delivery.body[: int(len(delivery.body) * keep)]
                delivery.body = kept.decode("utf-8", "ignore").encode()
                delivery.mark("truncated", bent=True)
            case CallbackGarbage():
                delivery.body = _GARBAGE
                delivery.mark("garbage", bent=True)
            case CallbackWrongType(content_type=content_type):
                delivery.content_type = content_type
                delivery.mark("wrong type", bent=True)
            case CallbackDrip(seconds=seconds, drops=drops):
                delivery.drip = (seconds.at(hit.quantile), drops)
                delivery.mark("dripped", bent=True)
            case CallbackResend(schedule=schedule, heed=heed):
                delivery.schedule, delivery.heed = schedule, heed
            case CallbackDelay(seconds=seconds):
                delivery.wait += seconds.at(hit.quantile)
                delivery.mark("delayed")
            case CallbackAfterPoll(seconds=seconds, within=within):
                delivery.after_poll = (seconds.at(hit.quantile), within)
                delivery.mark("after the poll")


def _with_token(url: str, how: str, other: Generation | None) -> str:
    """Damage the token in an address: the member of that name, else the last one."""
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
    # As long as the right one, and different at each place.
    return "".join("0" if mark != "0" else "1" for mark in value)
