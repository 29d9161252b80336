"""What each figure should be: required, and aimed at; the table shows them beside it."""

from dataclasses import dataclass

from tests.bench.pipeline.figures import Figure


@dataclass(frozen=True, slots=True)
class Target:
    """Bounds of a figure and of its ratio to the plain hop; `least` turns them round."""

    required: float | None = None
    aim: float | None = None
    required_hops: float | None = None
    aim_hops: float | None = None
    least: bool = False


TAKE_OVER = Target(required=2, aim=1.5)
TARGETS = {
    ("handover", "hand-over, p50"): Target(required_hops=4.5, aim_hops=3.5),
    ("handover", "idle of the vendor, p50"): Target(required_hops=7.5, aim_hops=6),
    ("waiting", "hand-over, 10 000 waiting / 100 waiting"): Target(required=1.1),
    ("flood", "a turn in the flood / in peace"): Target(required=1.25),
    ("throughput", "jobs / bare workflows, 50 at once"): Target(required=0.3, least=True),
    ("throughput", "jobs / bare workflows, 1 at once"): Target(required=0.3, least=True),
    ("intake", "requests taken in by the semaphore, in bulk"): Target(150, 500, least=True),
}


def target(figure: Figure) -> Target:
    """The bounds of a figure; none where nothing was promised."""
    if figure.part == "takeover" and figure.unit == "s":
        return TAKE_OVER
    return TARGETS.get((figure.part, figure.name), Target())


def met(figure: Figure) -> bool | None:
    """Whether what is required is reached; None where nothing is."""
    bounds = target(figure)
    known = [(figure.judged, bounds.required), (figure.in_hops, bounds.required_hops)]
    held = [(v >= b) if bounds.least else (v <= b) for v, b in known if v is not None and b]
    return all(held) if held else None
