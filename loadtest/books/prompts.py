"""The prompts of a plan: they follow from its seed and a job's place, and from nothing else."""

import random

_LATIN = (
    "a paper boat crossing a flooded square",
    "an old tram climbing into the fog",
    "a lighthouse drawn in chalk",
    "two cranes dancing over a frozen lake",
    "a red kite above a field of solar panels",
    "a clockmaker's bench by candlelight",
    "steam over a noodle stall at dawn",
    "a fox asleep on a warm server rack",
)
_CHINESE = (
    "雨夜里的霓虹小巷",
    "黄山云海上的日出",
    "江南水乡,一只乌篷船",
    "敦煌壁画里飞天起舞",
    "雪后长城,红色风筝",
    "熊猫在竹林里打太极",
)
_STYLES = ("cinematic", "watercolour", "ink", "水墨")


def prompt(seed: int, stage: int, index: int) -> str:
    """Return the prompt of one job; it depends on nothing but its place in the plan."""
    pick = random.Random(f"{seed}/{stage}/{index}")  # noqa: S311 - reproducible, not secret
    words = _CHINESE if pick.random() < 0.35 else _LATIN
    return f"{pick.choice(words)} #{index + 1}"


def priority(seed: int, stage: int, index: int) -> int:
    """Return the priority of one job, where the plan draws them."""
    pick = random.Random(f"priority/{seed}/{stage}/{index}")  # noqa: S311 - reproducible, not secret
    return pick.choice((1, 3, 5))


def style(seed: int, stage: int, index: int) -> str:
    """Return the style of one job."""
    pick = random.Random(f"style/{seed}/{stage}/{index}")  # noqa: S311 - reproducible, not secret
    return pick.choice(_STYLES)
