"""Two builds beside each other: the same conditions, and what each of them made of these."""

from loadtest.judge.compare import Comparison
from loadtest.judge.judge import Condition, Judgement
from loadtest.report.blocks import BAD, GOOD, WARN, Block, Cell, Notice, Section, Table, row
from loadtest.report.sections import compare as compare_section
from loadtest.report.sections import jobs as jobs_section
from loadtest.report.sections import proof
from loadtest.times import duration


def side_by_side(ours: Judgement, control: Judgement, comparison: Comparison) -> list[Section]:
    """The sections of the page: conditions, the proof of each, the charts of each, medians."""
    return [
        _conditions(ours, control),
        _titled("Ours: the concurrency proof", proof.section(ours)),
        _titled("The control: the concurrency proof", proof.section(control)),
        _titled("Ours: jobs over time", jobs_section.section(ours)),
        _titled("The control: jobs over time", jobs_section.section(control)),
        Section("Medians", compare_section.LEAD, compare_section.compared(comparison)),
    ]


def _conditions(ours: Judgement, control: Judgement) -> Section:
    caught = not control.passed
    blocks: list[Block] = [
        Notice(GOOD if ours.passed else BAD, f"Ours: {ours.headline}"),
        Notice(GOOD if caught else BAD, f"The control: {control.headline}"),
        Table(
            ("condition", "#ours", "ours holds", "#control", "the control holds"),
            [_condition(a, b) for a, b in zip(ours.conditions, control.conditions, strict=True)],
        ),
        Table(("measured", "#ours", "#control"), _timing(ours, control), "The largest stage"),
    ]
    lead = (
        "The same plan and the same mocks. The control's slot is a semaphore in each worker's "
        "process, held per activity, so every worker adds a slot and jobs interleave between their "
        "stages. It is here to be caught: a judge that passes it would prove nothing."
    )
    return Section("Ours and the negative control", lead, blocks)


def _condition(ours: Condition, control: Condition) -> tuple[Cell, ...]:
    return row(ours.text, ours.measured, _verdict(ours), control.measured, _verdict(control))


def _verdict(condition: Condition) -> Cell:
    if condition.ok is None:
        return Cell("not measured", WARN)
    return Cell("holds", GOOD) if condition.ok else Cell("broken", BAD)


def _timing(ours: Judgement, control: Judgement) -> list[tuple[Cell, ...]]:
    a, b = ours.stages[-1], control.stages[-1]
    return [
        row("makespan", duration(a.timing.makespan), duration(b.timing.makespan)),
        row("vendors' service time", duration(a.timing.ideal), duration(b.timing.ideal)),
        row("most at once", *(str(each.at_once["vendors"].most) for each in (a, b))),
        row("violations of the limit", *(str(s.at_once["vendors"].violations) for s in (a, b))),
    ]


def _titled(title: str, section: Section) -> Section:
    return Section(title, section.lead, section.blocks)
