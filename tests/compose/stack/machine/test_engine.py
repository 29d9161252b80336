"""Which engine and which Compose are good enough."""

import pytest

from compose.stack.machine import engine


@pytest.mark.parametrize(
    ("version", "numbers"),
    [
        ("26.1.5+dfsg1", (26, 1)),
        ("v2.26.1-4", (2, 26)),
        ("2.20", (2, 20)),
        ("29", (29, 0)),
        ("5.0.0-rc.1", (5, 0)),
        ("", (0, 0)),
    ],
)
def test_versions(version: str, numbers: tuple[int, int]) -> None:
    assert engine.numbers(version) == numbers


@pytest.mark.parametrize(
    ("version", "compose", "said"),
    [
        (None, None, "no Docker engine answers"),
        ("24.0.7", (("docker", "compose"), "2.26"), "25 or newer is needed"),
        ("26.1.5", None, "Docker Compose 2.20 or newer is missing"),
        ("26.1.5", (("docker", "compose"), "2.26"), None),
    ],
)
def test_what_is_missing(
    monkeypatch: pytest.MonkeyPatch,
    version: str | None,
    compose: tuple[tuple[str, ...], str] | None,
    said: str | None,
) -> None:
    monkeypatch.setattr(engine, "engine_version", lambda: version)
    monkeypatch.setattr(engine, "compose", lambda: compose)
    reason = engine.missing()
    assert (reason is None) == (said is None)
    assert (said or "") in (reason or "")
