"""Plans by name; each says what it stands for and what the pipeline should make of it."""

from services.mock_core.faults.presets.callbacks import CALLBACKS
from services.mock_core.faults.presets.preset import Preset, rule
from services.mock_core.faults.presets.results import RESULTS
from services.mock_core.faults.presets.runs import RUNS
from services.mock_core.faults.presets.submits import SUBMITS

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
