"""What `make ps`, `make urls` and the end of `make up` say of each part."""

import asyncio
import itertools
import os
import time

import pytest

from compose.stack import machine, modes
from compose.stack.asking import why_not
from compose.stack.commands import lifecycle, status
from compose.stack.given import Saved
from compose.stack.output import UNREACHABLE, StackError
from compose.stack.services import NAMES, Unit
from shared.health import reasons_of
from shared.http.web import service_app
from tests.compose.stack.conftest import Fake, Listener, Load, held
from tests.fixtures.processes import serving


def unit(service: str, *, good: bool = True) -> Unit:
    return Unit(
        service=service, name=service, state="x", ready=good, detail="" if good else "why not"
    )


class Listed(Fake):
    """A stack that becomes ready step by step."""

    def __init__(self, *steps: list[Unit]) -> None:
        super().__init__()
        self._steps = list(steps)

    def units(self) -> list[Unit]:
        return self._steps.pop(0) if len(self._steps) > 1 else self._steps[0]


def test_each_service_is_reported_once(
    settings: Load, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(modes, "POLL_SECONDS", 0)
    everyone = [unit(name) for name in NAMES]
    modes.wait(settings(), Listed(everyone[:2], everyone[:2], everyone))
    said = [line.split()[1] for line in capsys.readouterr().out.splitlines()]
    assert sorted(said) == sorted(NAMES)
    assert said[:2] == list(NAMES[:2])


def test_slow_start_is_waited_for_as_long_as_services_become_ready(
    settings: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slow machine takes longer for all of them than one service may take."""
    clock = itertools.count(step=modes.PATIENCE / 4)
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(modes, "POLL_SECONDS", 0)
    units = [unit(name) for name in NAMES]
    modes.wait(settings(), Listed(*(units[:count] for count in range(len(units) + 1))))


def test_service_that_is_not_ready_is_named_with_the_reason(
    settings: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(modes, "PATIENCE", -1)
    units = [unit(name, good=name != "api") for name in NAMES if name != "semaphore"]
    with pytest.raises(StackError) as caught:
        modes.wait(settings(), Listed(units))
    assert "semaphore (not there); api (x, why not)" in str(caught.value)
    assert caught.value.status == UNREACHABLE


@pytest.mark.parametrize(
    ("workers", "running", "ready"), [("1", 1, True), ("1", 2, False), ("2", 1, False)]
)
def test_state_is_good_with_the_expected_workers(
    settings: Load, monkeypatch: pytest.MonkeyPatch, workers: str, running: int, ready: bool
) -> None:
    units = [unit(name) for name in NAMES] + [unit("worker")] * (running - 1)
    monkeypatch.setattr(modes, "chosen", lambda _: Listed(units))
    asked = settings(WORKERS=workers).model_copy(update={"running": "local"})
    assert status.ps(asked) == (0 if ready else UNREACHABLE)


def test_reason_why_an_address_is_not_ready(listener: Listener) -> None:
    url = f"http://127.0.0.1:{listener.port}/readyz"
    for detail, why in (({"detail": "temporal: no answer"}, "temporal: no answer"), ("x", "503")):
        listener.answer = lambda _, said=detail: (503, said)  # type: ignore[misc]
        assert (why_not(url, 1) or "").endswith(why)
    assert "no answer" in (why_not("http://127.0.0.1:1/readyz", 1) or "")


async def test_answer_of_another_process_does_not_count() -> None:
    app = service_app("another stack's", ready=lambda: reasons_of({}))
    async with serving(app) as base:
        url = f"{base}/readyz"
        assert await asyncio.to_thread(why_not, url, os.getpgrp()) is None
        others = await asyncio.to_thread(why_not, url, os.getpgrp() + 1)
        assert others == f"another process answers at {url}"
        none = await asyncio.to_thread(why_not, f"{base}/healthz", os.getpgrp())
        assert none == f"another process answers at {base}/healthz"


SERVER = ["Temporal UI", "Temporal gRPC"]
MOCKS = ["image service (mock ComfyUI)", "video service (mock Kling proxy)"]
WHOLE = ["dashboard", "API reference", *SERVER, "callback receiver", *MOCKS]
AWAY = {"TEMPORAL_ADDRESS": "203.0.113.5:7233"}


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ({}, WHOLE),
        (AWAY, [what for what in WHOLE if what != "Temporal UI"]),
        (AWAY | {"TEMPORAL_UI_URL": "http://203.0.113.5:8080"}, WHOLE),
        ({"ROLES": "mock-kling"}, MOCKS[1:]),
        ({"ROLES": "temporal"}, SERVER),
    ],
)
def test_each_part_has_its_address(
    settings: Load, capsys: pytest.CaptureFixture[str], given: dict[str, str], shown: list[str]
) -> None:
    status.urls(settings(**given))
    lines = capsys.readouterr().out.splitlines()
    assert [line.rpartition("  ")[0].rstrip() for line in lines] == shown


def test_command_that_waited_takes_the_stack_as_it_is_then(
    settings: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    early = settings()
    Saved(mode="local", overrides={"WORKERS": "2"}).write(early.run_dir)
    assert modes.prepared(early).settings.workers == 2
    Saved(mode="docker").write(early.run_dir)
    monkeypatch.setattr(machine, "missing", lambda: "it is away")
    for command in (lifecycle.up, lifecycle.down):
        with pytest.raises(StackError, match=r"^the stack runs in containers, but it is away"):
            command(early)


def test_data_is_removed_before_the_next_command_starts(
    settings: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = settings()
    waits: list[bool] = []
    monkeypatch.setattr(machine, "missing", lambda: "it is away")
    monkeypatch.setattr("shutil.rmtree", lambda *_, **__: waits.append(held(found.run_dir)))
    with pytest.raises(StackError, match="could not remove"):
        lifecycle.clean(found, sure=True)
    assert set(waits) == {True}
