"""A callback before it leaves: its delivery, and how the fault plan changes it."""

import asyncio
import base64
import binascii
import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from standardwebhooks.webhooks import Webhook

if TYPE_CHECKING:
    # Imported here, because the settings use a part of this module.
    from services.mock_core.faults.kinds import Hit
    from services.mock_core.ledger import Generation


def _secret(value: str) -> str:
    try:
        key = base64.b64decode(value.removeprefix("whsec_"), validate=True)
    except binascii.Error as error:
        raise ValueError("must be base64, with or without whsec_ before it") from error
    if len(key) < 16:
        raise ValueError("needs at least 16 bytes")
    return value


Pause = Annotated[float, Field(ge=0, le=10_000_000)]
Secret = Annotated[str, AfterValidator(_secret)]


class CallbackPolicy(BaseModel):
    """`schedule` has the nominal seconds before each try; with `heed` the first 2xx ends it.

    The vendor documents neither; one try is the default. There are two secrets during a rotation.
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


Body = dict[str, Any]


@dataclass(frozen=True)
class Wording:
    """A vendor's form of a callback: the body for a generation, the same body for another task, and
    the body with the opposite end."""

    describe: Callable[["Generation"], Body]
    rename: Callable[[Body, str, str | None], Body]
    contradict: Callable[[Body], Body]


@dataclass(slots=True, eq=False)
class Delivery:
    """A callback to send: where, when, and its results. Lengths are nominal seconds."""

    generation: "Generation"
    url: str
    status: str
    body: bytes = b""
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


def write_delivery(
    delivery: Delivery,
    hits: tuple["Hit", ...],
    *,
    wording: Wording,
    enveloped: bool,
    other: "Generation | None",
) -> None:
    """Write the body, and let faults change its content, bytes, address and speed."""
    body = wording.describe(delivery.generation)
    for hit in hits:
        match hit.name:
            case "callback.other-job" if other is not None:
                body = wording.rename(body, other.id, other.external_id)
                delivery.mark("other-job", bent=True)
            case "callback.unknown-job" | "callback.other-job":
                number = int(hit.quantile * 10**17)
                body = wording.rename(body, str(9 * 10**17 + number), f"unknown-{number:x}")
                delivery.mark(hit.fault.kind.do, bent=True)
            case "callback.contradict":
                body = wording.contradict(body)
                delivery.mark("contradict", bent=True)
            case "callback.oversize":
                body = {**body, "padding": "x" * hit["bytes"]}
                delivery.mark("oversize", bent=True)
            case "callback.envelope":
                enveloped = True
            case "callback.token":
                delivery.url = _with_token(delivery.url, hit["how"], other)
                delivery.mark(f"{hit['how']} token", bent=True)
            case "callback.wrong-type":
                delivery.content_type = hit["content_type"]
                delivery.mark("wrong type", bent=True)
            case "callback.drip":
                delivery.drip = (hit["seconds"], hit["drops"])
                delivery.mark("dripped", bent=True)
            case "callback.resend":
                delivery.schedule, delivery.heed = hit["schedule"], hit["heed"]
            case "callback.delay":
                delivery.wait += hit["seconds"]
                delivery.mark("delayed")
            case "callback.after-poll":
                delivery.after_poll = (hit["seconds"], hit["within"])
                delivery.mark("after the poll")
    # Whatever the order of the rules, because the others change what is inside.
    if enveloped:
        request_id = str(uuid.uuid4())
        body = {"code": 0, "message": "SUCCEED", "request_id": request_id, "data": body}
    delivery.body = json.dumps(body, ensure_ascii=False).encode("utf-8", "surrogatepass")
    for hit in hits:
        match hit.name:
            case "callback.truncate":
                kept = delivery.body[: int(len(delivery.body) * hit["keep"])]
                delivery.body = kept.decode("utf-8", "ignore").encode()
                delivery.mark("truncated", bent=True)
            case "callback.garbage":
                delivery.body = b"<html><body>gateway</body></html>"
                delivery.mark("garbage", bent=True)


def _with_token(url: str, how: str, other: "Generation | None") -> str:
    """Damage the token in an address: the member of that name, else the last one."""
    parts = urlsplit(url)
    members = dict(parse_qsl(parts.query, keep_blank_values=True))
    if not members:
        return url
    name = "token" if "token" in members else [*members][-1]
    value = members.pop(name)
    if how == "stale" and other is not None and other.callback_url is not None:
        members[name] = dict(parse_qsl(urlsplit(other.callback_url).query)).get(name, value)
    if how != "missing" and members.get(name, value) == value:
        # As long as the right one, and different at each place.
        members[name] = "".join("0" if mark != "0" else "1" for mark in value)
    return urlunsplit(parts._replace(query=urlencode(members)))
