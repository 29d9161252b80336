"""Submits that are refused, or accepted and not answered."""

from services.mock_core.faults.presets.preset import Preset, rule

SUBMITS: dict[str, Preset] = {
    "paid-but-reply-lost": Preset(
        "the first submit of each job is accepted and its reply lost",
        "every job succeeds; the lost submit is looked up and adopted, nothing is paid twice",
        (rule("paid-but-reply-lost", "submit.lose-reply", often={"first": 1}),),
    ),
    "accepted-late": Preset(
        "the first submit of each job ends in a reset, and is accepted 30 s later",
        "every job succeeds; what may still be accepted is looked for, nothing is paid twice",
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
        "every job succeeds; what is unknown is looked up before it is submitted again",
        (
            rule("reset-submit", "submit.reset", often={"first": 1}),
            rule("reset-poll", "poll.reset", often={"first": 1}),
        ),
    ),
}
