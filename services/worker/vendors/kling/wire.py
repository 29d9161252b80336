"""What differs between Kling's generations and dialects: the words that are spoken."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import httpx

from services.worker.vendors.vendor import VendorStatus


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """One video; `image` is an address, or the picture in base64."""

    external_id: str
    prompt: str
    image: str
    callback_url: str | None


@dataclass(frozen=True)
class Question:
    """Where one generation is asked for."""

    path: str
    params: Mapping[str, str]


class Wire(Protocol):
    """One way to speak."""

    looked_up: bool
    submit_path: str

    def body(self, wanted: Wanted) -> dict[str, Any]:
        """The request for a video."""

    def vendor_id(self, response: httpx.Response, external_id: str) -> object:
        """Its id, as an accepting answer says it; a VendorError for any other answer.

        OutcomeUnknown for an answer that has another id than ours.
        """

    def question(self, task_id: str) -> Question:
        """How one is asked for, by the vendor's id or by ours."""

    def status(self, response: httpx.Response, task_id: str) -> VendorStatus | None:
        """Where the one that was asked for stands, None where the vendor doesn't know it; a
        VendorError where the answer is none, OutcomeUnknown where it is about another one."""
