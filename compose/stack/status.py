"""What is known of one running part of the stack, the same in both modes."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Unit:
    """One container or process: whether it is ready, and a word on its state and its age."""

    service: str
    name: str
    state: str
    ready: bool
    detail: str
