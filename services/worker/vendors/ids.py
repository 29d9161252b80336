"""Whether an answer is about the generation that was asked for, by the ids that it names."""

from shared.errors import OutcomeUnknown
from shared.jobs.ids import parse_external_id

ANOTHER = "The vendor's answer is about another generation."


def check_about(asked: str, named: tuple[object, object]) -> None:
    """Raise OutcomeUnknown unless an answer is about the generation that was asked for.

    `asked` is the vendor's id or ours; `named` are the vendor's id and ours in the answer. Many
    vendors leave out ours. An answer to a submit or to a look-up by our id is then believed,
    because there is nothing to compare.
    """
    if asked not in named and (named[1] or not parse_external_id(asked)):
        raise OutcomeUnknown(ANOTHER)
