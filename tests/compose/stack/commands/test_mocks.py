"""Faults are sent to the mocks as they are given; a stuck drain's place is given up by the API."""

import pytest

from compose.stack.commands import mocks
from compose.stack.output import UNREACHABLE, USAGE, StackError
from compose.stack.settings import Settings
from tests.compose.stack.conftest import Call, Listener, Load

RULE = {"name": "r", "where": "callback", "do": "lose", "fired": 2, "applies": True}
PRESETS = [{"name": "lost-callbacks", "says": "none come"}]


@pytest.fixture
def mock(listener: Listener) -> Listener:
    """Refuses a rule without `where` as the mocks do."""

    def answer(call: Call) -> tuple[int, object]:
        if call.body == {"do": "lose"}:
            return 422, {"detail": "rule #1: where: missing"}
        return 200, {"rules": [RULE], "presets": PRESETS, "added": ["r"]}

    listener.answer = answer
    return listener


@pytest.fixture
def both(mock: Listener, settings: Load) -> Settings:
    """Settings under which the stand-in is the video service, and the image service is real."""
    return settings(MOCKS="video", COMFYUI_URL="http://a", KLING_PORT=mock.port)


@pytest.mark.parametrize(
    ("environ", "plan"),
    [
        ({"RULE": '{"where": "callback", "do": "x"}'}, {"where": "callback", "do": "x"}),
        ({"RULE": '[{"do": "a"}, {"do": "b"}]'}, {"rules": [{"do": "a"}, {"do": "b"}]}),
        ({"PRESET": "lost-callbacks"}, {"preset": "lost-callbacks"}),
    ],
)
def test_rule_goes_to_its_mock(
    mock: Listener, both: Settings, environ: dict[str, str], plan: object
) -> None:
    mocks.arm(both, environ)
    mocks.clear(both)
    assert [call.method for call in mock.calls] == ["POST", "GET", "DELETE"]
    assert mock.calls[0].body == plan


def test_refusal_of_the_mock_is_passed_on(both: Settings) -> None:
    with pytest.raises(StackError, match="faults refuses: rule #1: where: missing") as caught:
        mocks.arm(both, {"RULE": '{"do": "lose"}'})
    assert caught.value.status == USAGE


def test_plan_without_a_rule_for_the_mock_is_refused(both: Settings, mock: Listener) -> None:
    new = RULE | {"name": "new", "applies": False}
    answer = {"rules": [RULE, new], "presets": PRESETS, "added": ["new"]}
    mock.answer = lambda _: (200, answer)
    with pytest.raises(StackError, match="nothing is armed: no rule applies to a mock") as caught:
        mocks.arm(both, {"PRESET": "lost-callbacks"})
    assert caught.value.status == USAGE


def test_armed_rules_are_listed_with_their_hits(
    mock: Listener, both: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    mocks.show(both)
    assert "mock-kling  r     callback.lose  2" in capsys.readouterr().out
    mock.answer = lambda _: (200, {"rules": [], "presets": PRESETS})
    mocks.show(both)
    assert "lost-callbacks  none come" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({}, "or RULE="),
        ({"RULE": "{}", "PRESET": "x"}, "or RULE="),
        ({"RULE": "{oops"}, "is not JSON: "),
        ({"RULE": "[" * 100_000}, "is not JSON: "),
    ],
)
def test_usage(settings: Load, environ: dict[str, str], said: str) -> None:
    with pytest.raises(StackError, match=said) as caught:
        mocks.arm(settings(), environ)
    assert caught.value.status == USAGE


def test_faults_need_mocks(settings: Load) -> None:
    found = settings(MOCKS="off", COMFYUI_URL="http://a", KLING_URL="http://b")
    with pytest.raises(StackError, match="the mocks are switched off"):
        mocks.show(found)
    with pytest.raises(StackError, match=r":1/admin/faults does not answer") as caught:
        mocks.arm(settings(COMFYUI_PORT="1"), {"PRESET": "x"})
    assert caught.value.status == UNREACHABLE


@pytest.mark.parametrize(
    ("environ", "path"), [({}, "/slots/job/free"), ({"NAME": "a/b"}, "/slots/a%2Fb/free")]
)
def test_slot_free_gives_up_the_place_of_a_run(
    listener: Listener,
    settings: Load,
    capsys: pytest.CaptureFixture[str],
    *,
    environ: dict[str, str],
    path: str,
) -> None:
    listener.answer = lambda _: (200, {"limit": 1, "holders": [], "waiting_count": 3})
    found = settings(API_PORT=listener.port, API_TOKEN="a-token-of-the-tests")
    mocks.free_slot(found, {"RUN": "r-1", **environ})
    [call] = listener.calls
    assert (call.method, call.path, call.body) == ("POST", path, {"run_id": "r-1"})
    assert call.token == "Bearer a-token-of-the-tests"
    assert "is free; held now: 0 of 1, waiting: 3" in capsys.readouterr().out


def test_slot_free_reports_a_refusal(listener: Listener, settings: Load) -> None:
    with pytest.raises(StackError, match="needs RUN=") as caught:
        mocks.free_slot(settings(), {"NAME": "job"})
    assert caught.value.status == USAGE
    with pytest.raises(StackError, match="does not answer") as caught:
        mocks.free_slot(settings(API_PORT="1"), {"RUN": "r-1"})
    assert caught.value.status == UNREACHABLE
    listener.answer = lambda _: (409, {"detail": "This run is not draining."})
    with pytest.raises(StackError, match="refuses: This run is not draining") as caught:
        mocks.free_slot(settings(API_PORT=listener.port), {"RUN": "holds"})
    assert caught.value.status == USAGE
    listener.answer = lambda _: (503, {"detail": "Temporal does not answer."})
    with pytest.raises(StackError, match="refuses: Temporal does not answer") as caught:
        mocks.free_slot(settings(API_PORT=listener.port), {"RUN": "holds"})
    assert caught.value.status == UNREACHABLE
