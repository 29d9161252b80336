"""Plans by name; each says what it stands for and what the pipeline should make of it."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Preset:
    says: str
    expect: str
    rules: tuple[dict[str, Any], ...]


PRESETS: dict[str, Preset] = {
    "lost-callbacks": Preset(
        "no callback ever arrives",
        "every job succeeds; the poll finds the end",
        ({"name": "lost-callbacks", "service": "video", "where": "callback", "do": "lose"},),
    ),
    "duplicate-callbacks": Preset(
        "each callback arrives three times",
        "every job succeeds; the second and third change nothing",
        (
            {
                "name": "duplicate-callbacks",
                "service": "video",
                "where": "callback",
                "do": "repeat",
                "with": {"times": 3},
            },
        ),
    ),
    "paid-but-reply-lost": Preset(
        "the first submit of each job is accepted and its reply lost",
        "every job succeeds; the lost submit is looked up and adopted, nothing is paid twice",
        (
            {
                "name": "paid-but-reply-lost",
                "where": "submit",
                "do": "lose-reply",
                "often": {"first": 1},
            },
        ),
    ),
    "vendor-outage": Preset(
        "the first three submits of each job are answered with 503",
        "every job succeeds late; no generation attempt is used up",
        (
            {
                "name": "vendor-outage",
                "where": "submit",
                "do": "refuse",
                "with": {"status": 503},
                "often": {"first": 3},
            },
        ),
    ),
    "slow-vendor": Preset(
        "every generation takes four times as long",
        "every job succeeds, only later",
        ({"name": "slow-vendor", "where": "start", "do": "slow", "with": {"factor": 4}},),
    ),
    "failing-generations": Preset(
        "the first generation of each job fails",
        "every job succeeds with a second, newly paid attempt per stage",
        (
            {
                "name": "failing-generations",
                "where": "start",
                "do": "fail",
                "often": {"attempts": 1},
            },
        ),
    ),
}
