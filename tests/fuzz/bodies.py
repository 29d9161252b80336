"""What is sent to the receiver: honest callbacks, bent ones, forged ones, and plain noise."""

import json
from typing import Any, NamedTuple

from hypothesis import strategies as st

from shared.jobs.ids import new_job_id
from shared.jobs.tokens import callback_token

MAX_BODY = 256 * 1024
WRONG_SECRET = "another-secret-of-32-characters-or-more"

STATUSES = ("submitted", "processing", "succeed", "failed")
TYPES = ("application/json", "application/json; charset=utf-8", "application/problem+json")
OTHER_TYPES = ("", "text/plain", "application/xml", "application/jsonp", "json", "multipart/x")


class Sent(NamedTuple):
    """One request; `genuine` where its token is that of its task."""

    task: str
    token: str
    content_type: str
    body: bytes
    chunked: bool
    genuine: bool


def _text() -> st.SearchStrategy[str]:
    return st.text(max_size=50)


def json_values() -> st.SearchStrategy[Any]:
    """Anything that JSON can say, and some that it can't."""
    leaves = (
        st.none()
        | st.booleans()
        | st.integers(-(2**70), 2**70)
        | st.floats()
        | _text()
        | st.sampled_from(STATUSES)
    )
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_text(), inner, max_size=4),
        max_leaves=12,
    )


def _honest(task: str) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {"task_id": st.just(f"task-{task.partition('.')[0]}"), "task_status": _status()},
        optional={
            "updated_at": st.integers(0, 2**63 - 1),
            "created_at": st.integers(0, 2**63 - 1),
            "task_status_msg": _text(),
            "final_unit_deduction": st.just("1.5"),
            "task_info": st.just({"external_task_id": task}),
            "task_result": st.just({"videos": [{"id": "v", "url": "https://v.example/v.mp4"}]}),
        },
    )


def _status() -> st.SearchStrategy[str]:
    return st.sampled_from(STATUSES)


@st.composite
def _bent(draw: st.DrawFn, task: str) -> dict[str, Any]:
    """One field of an honest one is anything at all, or missing, or there are more."""
    body = draw(_honest(task))
    key = draw(st.sampled_from([*body, "task_info", "task_result", "updated_at"]) | _text())
    if draw(st.booleans()):
        body[key] = draw(json_values())
    else:
        body.pop(key, None)
    return body


def _naming(job_ids: list[str]) -> st.SearchStrategy[dict[str, Any]]:
    """One that names the task of some job in its body."""
    return st.sampled_from(job_ids).flatmap(lambda job_id: _honest(f"{job_id}.video.1"))


@st.composite
def raw_bodies(draw: st.DrawFn, task: str, job_ids: list[str]) -> bytes:
    """The bytes of a body, honest, bent, cut, padded, nested, or none at all."""
    value = draw(_honest(task) | _bent(task) | _naming(job_ids) | json_values())
    if draw(st.integers(0, 3)) == 0:
        value = {"code": 0, "message": "SUCCEED", "request_id": "r", "data": value}
    raw = json.dumps(value, ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass")
    match draw(st.integers(0, 19)):
        case 0:
            return raw[: draw(st.integers(0, len(raw)))]
        case 1:
            return draw(st.binary(max_size=200))
        case 2:
            at = draw(st.integers(0, len(raw)))
            return raw[:at] + draw(st.binary(min_size=1, max_size=4)) + raw[at:]
        case 3:
            opening = draw(st.sampled_from([b"[", b'{"data":', b'{"task_info":{"a":']))
            return opening * draw(st.integers(1, 20_000))
        case 4:
            return raw + b" " * draw(st.integers(0, MAX_BODY + 1))
    return raw


def _tokens(secret: str, task: str, others: list[str]) -> st.SearchStrategy[str]:
    """Tokens that are nearly right."""
    right = callback_token(secret, task)
    other = st.sampled_from(others).map(lambda job: callback_token(secret, f"{job}.video.1"))
    return (
        st.sampled_from(["", right[:-1], right + "0", right.upper(), right[::-1], f" {right}"])
        | other
        | st.just(callback_token(WRONG_SECRET, task))
        | _text()
        | st.just(task)
    )


@st.composite
def requests(draw: st.DrawFn, secret: str, targets: list[str], victims: list[str]) -> Sent:
    """A request with the right token to one of the targets, or one that forges for a victim."""
    genuine = draw(st.integers(0, 2)) > 0
    jobs = targets if genuine else victims
    task = draw(st.sampled_from(jobs)) + draw(st.sampled_from([".video.1", ".video.1", ".video.2"]))
    right = callback_token(secret, task)
    token = right
    if not genuine:
        token = draw(_tokens(secret, task, targets))
        if draw(st.integers(0, 3)) == 0:
            task = draw(_text() | st.just(task.replace("video", "image")) | st.just(new_job_id()))
    types = TYPES if draw(st.integers(0, 9)) else OTHER_TYPES
    return Sent(
        task=task,
        token=token,
        content_type=draw(st.sampled_from(types)),
        body=draw(raw_bodies(task, targets + victims)),
        chunked=draw(st.booleans()),
        genuine=genuine,
    )
