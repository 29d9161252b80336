"""Each service looks at its own settings before anything starts; one line names all mistakes."""

import re
from collections.abc import Iterator

from compose.stack.errors import UNREACHABLE, USAGE, StackError
from compose.stack.modes.stack import Checkable
from compose.stack.services import TEMPORAL, Service
from compose.stack.settings import secrets
from compose.stack.settings.checks import Checks
from compose.stack.settings.load import Settings
from compose.stack.subprocesses import Outcome

PATIENCE = 120
# What a service prints: `wrong settings: NAME: reason; NAME: reason`; a reason may have a `;`, too.
_LINE = re.compile(r"^wrong settings: (.+)$", re.MULTILINE)
_NAME = re.compile(r"(?:^|; )([A-Z][A-Z0-9_]*): ")


def check(settings: Settings, stack: Checkable) -> None:
    """Return where every service that would be started accepts what it would be told.

    StackError, in one line, where one doesn't. Nothing is started or changed by it.
    """
    stack.prepare()
    secrets.make(settings)
    asked = [service for service in settings.parts if service is not TEMPORAL]
    if not asked:
        return
    answers = stack.checked(asked, seconds=PATIENCE)
    found = [
        mistake for answer in zip(asked, answers, strict=True) for mistake in _mistakes(*answer)
    ]
    checks = Checks(settings.values, settings.origins)
    # What several of them read is told once, in the words of the first.
    for name, reason in dict(reversed([each for each in found if each[0]])).items():
        checks.refuse(name, f"is refused: {reason}")
    checks.wrong.extend({reason for name, reason in found if not name})
    checks.wrong.sort()
    checks.raise_if_wrong()


def _mistakes(service: Service, answer: Outcome) -> Iterator[tuple[str, str]]:
    """Name and reason of each mistake that a service has found; no name where it is one of several
    settings together."""
    if answer.good:
        return
    line = _LINE.search(answer.err)
    if answer.status != USAGE or line is None:
        raise StackError(
            f"{service.name} can't check its settings ({answer.last_line}): nothing was started",
            UNREACHABLE,
        )
    together, *words = _NAME.split(line[1])
    if together:
        yield "", together
    yield from zip(words[::2], words[1::2], strict=True)
