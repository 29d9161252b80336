"""Payloads that stand for the very objects: messages are frozen, so that nothing need be copied."""

from collections.abc import Sequence
from typing import Any

from pydantic import TypeAdapter
from pydantic_core import to_jsonable_python
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.converter import PayloadConverter


class Table(PayloadConverter):
    """All values of one history, by number; what is asked for as another kind is converted."""

    def __init__(self) -> None:
        self._values: list[Any] = []

    def to_payloads(self, values: Sequence[Any]) -> list[Payload]:
        payloads = []
        for value in values:
            payloads.append(Payload(data=b"%d" % len(self._values)))
            self._values.append(list(value) if isinstance(value, list) else value)
        return payloads

    def from_payloads(
        self, payloads: Sequence[Payload], type_hints: list[type] | None = None
    ) -> list[Any]:
        hints: Sequence[type | None] = type_hints or [None] * len(payloads)
        return [self._value(*pair) for pair in zip(payloads, hints, strict=False)]

    def _value(self, payload: Payload, hint: type | None) -> Any:
        value = self._values[int(payload.data)]
        if isinstance(value, list):
            return list(value)
        if not isinstance(hint, type) or value is None or isinstance(value, hint):
            return value
        return TypeAdapter(hint).validate_python(to_jsonable_python(value))

    def of(self, *values: Any) -> Payloads:
        """Several at once, as events carry them."""
        return Payloads(payloads=self.to_payloads(values))
