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
    fatal: bool = False


def rule(name: str, point: str, members: Raw | None = None, /, **rest: Any) -> Raw:
    """Build a rule: `point` is `where.do`, `members` go under `with`."""
    where, _, do = point.partition(".")
    parameters = {"with": members} if members else {}
    return {"name": name, "where": where, "do": do, **parameters, **rest}


SUBMITS: dict[str, Preset] = {
    "paid-but-reply-lost": Preset(
        "the first submit of each job is accepted and its reply lost",
        "every job succeeds; the lost submit is looked up and adopted, nothing is paid twice",
        (rule("paid-but-reply-lost", "submit.lose-reply", often={"first": 1}),),
    ),
    "accepted-late": Preset(
        "the first submit of each job ends in a reset, and is accepted 30 s later",
        "every job succeeds; the late generation is looked up and adopted, nothing is paid twice",
        (rule("accepted-late", "submit.accept-late", often={"first": 1}),),
    ),
    "vendor-outage": Preset(
        "the first three submits of each job are answered with 503",
        "every job succeeds late; no generation attempt is used up",
        (rule("vendor-outage", "submit.refuse", {"status": 503}, often={"first": 3}),),
    ),
    "too-fast": Preset(
        "the first two submits of each job are refused with 429, code 1302, and Retry-After",
        "every job succeeds; the pause is kept, no generation attempt is used up",
        (
            rule(
                "too-fast",
                "submit.refuse",
                {"status": 429, "code": 1302, "retry_after": 1},
                often={"first": 2},
            ),
        ),
    ),
    "busy-pool": Preset(
        "the first two submits of each video find the pool of places full: 429, code 1303",
        "every job succeeds after waiting; no generation attempt is used up",
        (
            rule(
                "busy-pool",
                "submit.refuse",
                {"code": 1303},
                service="video",
                often={"first": 2},
            ),
        ),
    ),
    "pack-used-up": Preset(
        "the account's resource pack is used up: 429, code 1102, for good",
        "every job fails at its video at once with that reason; nothing is submitted again",
        (rule("pack-used-up", "submit.refuse", {"code": 1102}, service="video"),),
        fatal=True,
    ),
    "policy-refusals": Preset(
        "a quarter of the prompts is refused by the content policy: 400, code 1301",
        "those jobs fail at once and keep the reason; all others succeed",
        (
            rule(
                "policy-refusals",
                "submit.refuse",
                {"code": 1301},
                service="video",
                match={"share": 0.25},
            ),
        ),
        fatal=True,
    ),
    "broken-connections": Preset(
        "the first submit and the first status call of each job end in a reset",
        "every job succeeds; an unknown submit is looked up before it is repeated",
        (
            rule("reset-submit", "submit.reset", often={"first": 1}),
            rule("reset-poll", "poll.reset", often={"first": 1}),
        ),
    ),
}


RUNS: dict[str, Preset] = {
    "slow-vendor": Preset(
        "every generation takes four times as long",
        "every job succeeds later",
        (rule("slow-vendor", "start.slow", {"factor": 4}),),
    ),
    "failing-generations": Preset(
        "the first generation of each job fails",
        "every job succeeds with a second, newly paid attempt per stage",
        (rule("failing-generations", "start.fail", often={"attempts": 1}),),
    ),
    "hopeless-generations": Preset(
        "every video of a quarter of the prompts fails in each attempt",
        "those jobs fail after all their attempts; all others succeed",
        (rule("hopeless-generations", "start.fail", service="video", match={"share": 0.25}),),
        fatal=True,
    ),
    "stuck-at-99": Preset(
        "the third job's first video stays at 99 percent and never ends",
        "the third job fails with `given_up` after `VIDEO_GIVE_UP_SECONDS`, and no second video is"
        " paid; all others succeed",
        (
            rule(
                "stuck-at-99",
                "start.stick",
                {"at": 99},
                service="video",
                match={"nth": 3},
                often={"attempts": 1},
            ),
        ),
        fatal=True,
    ),
    "never-started": Preset(
        "the third job's first video is accepted and never started",
        "the third job fails with `given_up` after `VIDEO_GIVE_UP_SECONDS`, and no second video is"
        " paid; all others succeed",
        (
            rule(
                "never-started",
                "start.never-start",
                service="video",
                match={"nth": 3},
                often={"attempts": 1},
            ),
        ),
        fatal=True,
    ),
    "vendor-restart": Preset(
        "the first video of a quarter of the prompts is forgotten in the middle",
        "every job succeeds; a lost video is looked up for a limited time, then made again",
        (
            rule(
                "vendor-restart",
                "start.vanish",
                {"at": 60},
                service="video",
                match={"share": 0.25},
                often={"attempts": 1},
            ),
        ),
    ),
    "going-backwards": Preset(
        "status calls fall back to queued and 0 percent in the middle",
        "every job succeeds; the percentage that the job shows never falls",
        (rule("going-backwards", "progress.backwards", {"polls": 3}),),
    ),
    "absurd-progress": Preset(
        "status calls report 250 percent and unknown states",
        "every job succeeds; invalid values are not shown",
        (
            rule("absurd-percent", "progress.absurd", match={"share": 0.5}),
            rule("absurd-state", "progress.unknown-state"),
        ),
    ),
    "success-without-url": Preset(
        "the first generation ends well and has no address",
        "every job succeeds with a second attempt, or fails with that reason; none hangs",
        (rule("success-without-url", "progress.no-url", often={"attempts": 1}),),
    ),
    "failed-after-success": Preset(
        "after the callback of success the status says failed, for each job's first video",
        "every job succeeds with a second, newly paid attempt; the status call decides",
        (
            rule(
                "failed-after-success",
                "progress.relapse",
                service="video",
                often={"attempts": 1},
            ),
        ),
    ),
    "flaky-polls": Preset(
        "one status call in three is refused, reset, cut short, or answered with a page",
        "every job succeeds; a failed status call is repeated",
        (
            rule("poll-refused", "poll.refuse", {"status": 503}, often={"probability": 0.1}),
            rule("poll-reset", "poll.reset", often={"probability": 0.1}),
            rule("poll-page", "poll.garbage", often={"probability": 0.1}),
            rule("poll-cut", "poll.truncate", often={"probability": 0.1}),
        ),
    ),
}


RESULTS: dict[str, Preset] = {
    "corrupt-results": Preset(
        "the first fetch of each file is cut short, the second empty",
        "every job succeeds; a damaged file is fetched again and never stored",
        (
            rule("cut-file", "result.truncate", often={"events": 1}),
            rule("empty-file", "result.empty", often={"events": 2}),
        ),
    ),
    "expired-results": Preset(
        "the first fetch of each file finds an address that has expired: 403",
        "every job succeeds; the address is asked for again",
        (rule("expired-results", "result.expire", often={"events": 1}),),
    ),
    "redirected-results": Preset(
        "the first fetch of each file is redirected to an internal address",
        "every job succeeds; the redirect is not followed",
        (rule("redirected-results", "result.redirect", often={"events": 1}),),
    ),
}


CALLBACKS: dict[str, Preset] = {
    "lost-callbacks": Preset(
        "no callback ever arrives",
        "every job succeeds; the poll finds the end",
        (rule("lost-callbacks", "callback.lose"),),
    ),
    "duplicate-callbacks": Preset(
        "each callback arrives three times",
        "every job succeeds; the second and third change nothing",
        (rule("duplicate-callbacks", "callback.repeat", {"times": 3}),),
    ),
    "callback-before-reply": Preset(
        "the callback of success arrives before the reply to the submit",
        "every job succeeds; the early callback is signalled to its job",
        (
            rule(
                "callback-before-reply",
                "submit.reply-after-callback",
                {"status": "succeed"},
                service="video",
            ),
        ),
    ),
    "late-callbacks": Preset(
        "callbacks leave only after a status call has reported the end",
        "every job succeeds by the poll; the late callback is recorded and changes nothing",
        (rule("late-callbacks", "callback.after-poll", {"seconds": 20}),),
    ),
    "callbacks-out-of-order": Preset(
        "`processing` arrives after `succeed`",
        "every job succeeds; the older callback changes nothing",
        (rule("callbacks-out-of-order", "callback.hold"),),
    ),
    "contradicting-callbacks": Preset(
        "each callback says the opposite of the status call",
        "every job succeeds; the callback is a hint, the status call decides",
        (rule("contradicting-callbacks", "callback.contradict"),),
    ),
    "forged-callbacks": Preset(
        "callbacks with wrong tokens, for unknown jobs and about other jobs",
        "every job succeeds by the poll; no forged callback is applied",
        (
            rule("forged-token", "callback.token", {"how": "wrong"}),
            rule("forged-job", "callback.unknown-job", often={"probability": 0.5}),
            rule("forged-other", "callback.other-job", often={"probability": 0.5}),
        ),
    ),
    "malformed-callbacks": Preset(
        "callbacks that are cut short, too large, not JSON, or of another type",
        "every job succeeds by the poll; each is refused with a 4xx",
        (
            rule("cut-short", "callback.truncate", often={"events": "1"}),
            rule("too-large", "callback.oversize", often={"events": "2"}, match={"share": 0.5}),
            rule("no-json", "callback.garbage", often={"events": "2"}, match={"share": 0.3}),
            rule("wrong-type", "callback.wrong-type", often={"events": "3-"}),
        ),
    ),
    "enveloped-callbacks": Preset(
        "callbacks come inside {code, message, request_id, data}",
        "every job succeeds; a receiver takes both forms",
        (rule("enveloped-callbacks", "callback.envelope"),),
    ),
}


_ALL_AT_ONCE = {
    "everything-at-once": Preset(
        "some of each: lost replies, outages, failures, bad polls, bad files, bad callbacks",
        "every job succeeds, some with further attempts; nothing is charged twice",
        (
            rule("e-lose-reply", "submit.lose-reply", often={"probability": 0.1}),
            rule("e-refuse", "submit.refuse", {"status": 503}, often={"probability": 0.15}),
            rule("e-fail", "start.fail", often={"probability": 0.15, "attempts": 1}),
            rule("e-slow", "start.slow", {"factor": 2}, often={"probability": 0.2}),
            rule("e-back", "progress.backwards", often={"probability": 0.2}),
            rule("e-poll", "poll.refuse", {"status": 500}, often={"probability": 0.05}),
            rule("e-poll-reset", "poll.reset", often={"probability": 0.05}),
            rule("e-file", "result.truncate", often={"probability": 0.3, "first": 1}),
            rule("e-lose", "callback.lose", often={"probability": 0.25}),
            rule("e-repeat", "callback.repeat", {"times": 3}, often={"probability": 0.2}),
            rule("e-hold", "callback.hold", often={"probability": 0.2}),
            rule("e-envelope", "callback.envelope", often={"probability": 0.3}),
            rule("e-token", "callback.token", often={"probability": 0.1}),
            rule("e-contradict", "callback.contradict", often={"probability": 0.1}),
        ),
    ),
}
PRESETS: dict[str, Preset] = {**CALLBACKS, **SUBMITS, **RUNS, **RESULTS, **_ALL_AT_ONCE}
