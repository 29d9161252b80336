"""Callbacks that are lost, late, doubled, forged or malformed."""

from services.mock_core.faults.presets.preset import Preset, rule

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
        "callbacks leave only after a status call has told the end",
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
        "every job succeeds by the poll; nothing that is forged is applied",
        (
            rule("forged-token", "callback.token", {"how": "wrong"}),
            rule("forged-job", "callback.unknown-job", often={"probability": 0.5}),
            rule("forged-other", "callback.other-job", often={"probability": 0.5}),
        ),
    ),
    "malformed-callbacks": Preset(
        "callbacks that are cut short, far too large, no JSON, or of another type",
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
