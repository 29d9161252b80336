"""Named plans; each says what it stands for and what the pipeline should do."""

from dataclasses import dataclass
from typing import Any

Raw = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Preset:
    """A named plan; `fatal`: the jobs that it strikes must fail; otherwise none has to."""

    says: str
    expect: str
    rules: tuple[Raw, ...]
    fatal: bool


def _preset(says: str, expect: str, /, *rules: Raw, fatal: bool = False) -> Preset:
    return Preset(says, expect, rules, fatal)


def _rule(point: str, members: Raw | None = None, /, **rest: Any) -> Raw:
    """Return a rule: `point` is `where.do`, `members` go under `with`."""
    where, _, do = point.partition(".")
    return {"where": where, "do": do, **({"with": members} if members else {}), **rest}


_GIVEN_UP = (
    "the third job fails with `given_up` after `VIDEO_GIVE_UP_SECONDS`, and no second video is"
    " paid; all others succeed"
)
_THIRD: Raw = {"service": "video", "match": {"nth": 3}, "often": {"attempts": 1}}
_QUARTER: Raw = {"service": "video", "match": {"share": 0.25}}

# A rule without a name has the preset's.
PRESETS: dict[str, Preset] = {
    "lost-callbacks": _preset(
        "no callback ever arrives",
        "every job succeeds; the poll finds the end",
        _rule("callback.lose"),
    ),
    "duplicate-callbacks": _preset(
        "each callback arrives three times",
        "every job succeeds; the second and third change nothing",
        _rule("callback.repeat", {"times": 3}),
    ),
    "callback-before-reply": _preset(
        "the callback of success arrives before the reply to the submit",
        "every job succeeds; the early callback is signalled to its job",
        _rule("submit.reply-after-callback", {"status": "succeed"}, service="video"),
    ),
    "late-callbacks": _preset(
        "callbacks leave only after a status call has reported the end",
        "every job succeeds by the poll; the late callback is recorded and changes nothing",
        _rule("callback.after-poll", {"seconds": 20}),
    ),
    "callbacks-out-of-order": _preset(
        "`processing` arrives after `succeed`",
        "every job succeeds; the older callback changes nothing",
        _rule("callback.hold"),
    ),
    "contradicting-callbacks": _preset(
        "each callback says the opposite of the status call",
        "every job succeeds; the callback is a hint, the status call decides",
        _rule("callback.contradict"),
    ),
    "forged-callbacks": _preset(
        "callbacks with wrong tokens, for unknown jobs and about other jobs",
        "every job succeeds by the poll; no forged callback is applied",
        _rule("callback.token", {"how": "wrong"}, name="forged-token"),
        _rule("callback.unknown-job", name="forged-job", often={"probability": 0.5}),
        _rule("callback.other-job", name="forged-other", often={"probability": 0.5}),
    ),
    "malformed-callbacks": _preset(
        "callbacks that are cut short, too large, not JSON, or of another type",
        "every job succeeds by the poll; each is refused with a 4xx",
        _rule("callback.truncate", name="cut-short", often={"events": "1"}),
        _rule("callback.oversize", name="too-large", often={"events": "2"}, match={"share": 0.5}),
        _rule("callback.garbage", name="no-json", often={"events": "2"}, match={"share": 0.3}),
        _rule("callback.wrong-type", name="wrong-type", often={"events": "3-"}),
    ),
    "paid-but-reply-lost": _preset(
        "the first submit of each job is accepted and its reply lost",
        "every job succeeds; the lost submit is looked up and adopted, nothing is paid twice",
        _rule("submit.lose-reply", often={"first": 1}),
    ),
    "accepted-late": _preset(
        "the first submit of each job ends in a reset, and is accepted 30 s later",
        "every job succeeds; the late generation is looked up and adopted, nothing is paid twice",
        _rule("submit.accept-late", often={"first": 1}),
    ),
    "vendor-outage": _preset(
        "the first three submits of each job are answered with 503",
        "every job succeeds late; no generation attempt is used up",
        _rule("submit.refuse", {"status": 503}, often={"first": 3}),
    ),
    "busy-vendor": _preset(
        "first submits come too fast (429, code 1302, Retry-After), then the video's pool is full",
        "every job succeeds after waiting; no generation attempt is used up",
        _rule(
            "submit.refuse",
            {"status": 429, "code": 1302, "retry_after": 1},
            name="too-fast",
            often={"events": 1},
        ),
        _rule(
            "submit.refuse", {"code": 1303}, name="pool-full", service="video", often={"events": 2}
        ),
    ),
    "pack-used-up": _preset(
        "the account's resource pack is used up: 429, code 1102, for good",
        "every job fails at its video at once with that reason; nothing is submitted again",
        _rule("submit.refuse", {"code": 1102}, service="video"),
        fatal=True,
    ),
    "policy-refusals": _preset(
        "a quarter of the prompts is refused by the content policy: 400, code 1301",
        "those jobs fail at once and keep the reason; all others succeed",
        _rule("submit.refuse", {"code": 1301}, **_QUARTER),
        fatal=True,
    ),
    "broken-connections": _preset(
        "the first submit and the first status call of each job end in a reset",
        "every job succeeds; an unknown submit is looked up before it is repeated",
        _rule("submit.reset", name="reset-submit", often={"first": 1}),
        _rule("poll.reset", name="reset-poll", often={"first": 1}),
    ),
    "slow-vendor": _preset(
        "every generation takes four times as long",
        "every job succeeds later",
        _rule("start.slow", {"factor": 4}),
    ),
    "failing-generations": _preset(
        "the first generation of each job fails",
        "every job succeeds with a second, newly paid attempt per stage",
        _rule("start.fail", often={"attempts": 1}),
    ),
    "hopeless-generations": _preset(
        "every video of a quarter of the prompts fails in each attempt",
        "those jobs fail after all their attempts; all others succeed",
        _rule("start.fail", **_QUARTER),
        fatal=True,
    ),
    "stuck-at-99": _preset(
        "the third job's first video stays at 99 percent and never ends",
        _GIVEN_UP,
        _rule("start.stick", {"at": 99}, **_THIRD),
        fatal=True,
    ),
    "never-started": _preset(
        "the third job's first video is accepted and never started",
        _GIVEN_UP,
        _rule("start.never-start", **_THIRD),
        fatal=True,
    ),
    "vendor-restart": _preset(
        "the first video of a quarter of the prompts is forgotten in the middle",
        "every job succeeds; a lost video is looked up for a limited time, then made again",
        _rule("start.vanish", {"at": 60}, **_QUARTER, often={"attempts": 1}),
    ),
    "absurd-progress": _preset(
        "status calls fall back to queued, and report 250 percent and unknown states",
        "every job succeeds; the percentage that the job shows never falls, and invalid values"
        " are not shown",
        _rule("progress.backwards", {"polls": 3}, name="falls-back"),
        _rule("progress.absurd", name="absurd-percent", match={"share": 0.5}),
        _rule("progress.unknown-state", name="absurd-state"),
    ),
    "success-without-url": _preset(
        "the first generation ends well and has no address",
        "every job succeeds with a second attempt, or fails with that reason; none hangs",
        _rule("progress.no-url", often={"attempts": 1}),
    ),
    "failed-after-success": _preset(
        "after the callback of success the status says failed, for each job's first video",
        "every job succeeds with a second, newly paid attempt; the status call decides",
        _rule("progress.relapse", service="video", often={"attempts": 1}),
    ),
    "flaky-polls": _preset(
        "one status call in three is refused, reset, cut short, or answered with a page",
        "every job succeeds; a failed status call is repeated",
        _rule("poll.refuse", {"status": 503}, name="poll-refused", often={"probability": 0.1}),
        _rule("poll.reset", name="poll-reset", often={"probability": 0.1}),
        _rule("poll.garbage", name="poll-page", often={"probability": 0.1}),
        _rule("poll.truncate", name="poll-cut", often={"probability": 0.1}),
    ),
    "corrupt-results": _preset(
        "the first fetch of each file is cut short, the second empty",
        "every job succeeds; a damaged file is fetched again and never stored",
        _rule("result.truncate", name="cut-file", often={"events": 1}),
        _rule("result.empty", name="empty-file", often={"events": 2}),
    ),
    "expired-results": _preset(
        "the first fetch of each file finds an address that has expired: 403",
        "every job succeeds; the address is asked for again",
        _rule("result.expire", often={"events": 1}),
    ),
    "redirected-results": _preset(
        "the first fetch of each file is redirected to an internal address",
        "every job succeeds; the redirect is not followed",
        _rule("result.redirect", often={"events": 1}),
    ),
    "everything-at-once": _preset(
        "some of each: lost replies, outages, failures, bad polls, bad files, bad callbacks",
        "every job succeeds, some with further attempts; nothing is charged twice",
        _rule("submit.lose-reply", name="e-lose-reply", often={"probability": 0.1}),
        _rule("submit.refuse", {"status": 503}, name="e-refuse", often={"probability": 0.15}),
        _rule("start.fail", name="e-fail", often={"probability": 0.15, "attempts": 1}),
        _rule("start.slow", {"factor": 2}, name="e-slow", often={"probability": 0.2}),
        _rule("progress.backwards", name="e-back", often={"probability": 0.2}),
        _rule("poll.refuse", {"status": 500}, name="e-poll", often={"probability": 0.05}),
        _rule("poll.reset", name="e-poll-reset", often={"probability": 0.05}),
        _rule("result.truncate", name="e-file", often={"probability": 0.3, "first": 1}),
        _rule("callback.lose", name="e-lose", often={"probability": 0.25}),
        _rule("callback.repeat", {"times": 3}, name="e-repeat", often={"probability": 0.2}),
        _rule("callback.hold", name="e-hold", often={"probability": 0.2}),
        _rule("callback.envelope", name="e-envelope", often={"probability": 0.3}),
        _rule("callback.token", name="e-token", often={"probability": 0.1}),
        _rule("callback.contradict", name="e-contradict", often={"probability": 0.1}),
    ),
}
