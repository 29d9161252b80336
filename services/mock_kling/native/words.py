"""In whose words the first generation of the API answers: the vendor's, or a relay's before it."""

from collections.abc import Callable
from dataclasses import dataclass

from starlette.responses import Response

from services.mock_core.exchange.view import View
from services.mock_core.http.problems import RefusalShape
from services.mock_core.ledger.generation import Generation
from services.mock_core.mock import Mock
from services.mock_kling.native import relay
from services.mock_kling.native.wire import refuse, settings_of, succeed
from services.mock_kling.tasks import created, told


@dataclass(frozen=True, slots=True)
class Words:
    """`told` gets the base of the addresses of files, too."""

    created: Callable[[Generation], Response]
    told: Callable[[Generation, View, str], Response]
    refuse: RefusalShape


_VENDOR = Words(
    lambda task: succeed(created(task)),
    lambda task, view, base: succeed(told(task, view, base)),
    refuse,
)
_WORDS = {
    "kling": _VENDOR,
    "new-api": Words(relay.created, relay.told, relay.refuse),
    "new-api-wrapping": Words(relay.created, relay.told, relay.wrap),
}


def words_of(mock: Mock) -> Words:
    """As the configuration has it now."""
    return _WORDS[settings_of(mock).dialect]


def refusal_of(mock: Mock) -> RefusalShape:
    """A refusal in the words of the moment in which it leaves."""

    def shape(
        status: int | None, code: int | str | None, message: str | None, headers: dict[str, str]
    ) -> Response:
        return words_of(mock).refuse(status, code, message, headers)

    return shape
