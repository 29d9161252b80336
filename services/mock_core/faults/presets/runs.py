"""Generations that are slow or fail, and status calls that mislead."""

from services.mock_core.faults.presets.preset import Preset, rule

RUNS: dict[str, Preset] = {
    "slow-vendor": Preset(
        "every generation takes four times as long",
        "every job succeeds, only later",
        (rule("slow-vendor", "start.slow", {"factor": 4}),),
    ),
    "failing-generations": Preset(
        "the first generation of each job fails",
        "every job succeeds with a second, newly paid attempt per stage",
        (rule("failing-generations", "start.fail", often={"attempts": 1}),),
    ),
    "hopeless-generations": Preset(
        "every video of a quarter of the prompts fails, however often it is tried",
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
        "every job succeeds; a lost one is looked up for a bounded time, then made anew",
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
        "status calls tell 250 percent and states of no table",
        "every job succeeds; what is absurd is not shown",
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
        "every job succeeds; a status call that fails is made again",
        (
            rule("poll-refused", "poll.refuse", {"status": 503}, often={"probability": 0.1}),
            rule("poll-reset", "poll.reset", often={"probability": 0.1}),
            rule("poll-page", "poll.garbage", often={"probability": 0.1}),
            rule("poll-cut", "poll.truncate", often={"probability": 0.1}),
        ),
    ),
}
