"""A fault of Temporal's namespace is reported with the commands that repair it."""

import json
from pathlib import Path
from typing import Any

import pytest

from compose.stack import checks, modes, namespace
from compose.stack.checks import Start
from compose.stack.output import UNREACHABLE, USAGE, VERDICT, StackError
from compose.stack.settings import Settings
from compose.stack.subprocesses import Outcome
from tests.compose.stack.conftest import Fake, Load

ELSEWHERE = "temporal.example:7233"
CLOUD = "eu-central-1.aws.api.temporal.io:7233"
BOTH = {"CustomProgress": "Int", "CustomTag": "Keyword"}
FINE = {"there": True, "missing": {}, "instead": {}, "done": [], "refused": "", "wrong": ""}


def says(**found: Any) -> Fake:
    told = Outcome(0, f"a warning\n{json.dumps(FINE | found)}\n", "")
    return Fake({"semaphore.namespace": told}, ready=True)


def commands(here: Settings, stack: Fake, days: int = 3) -> list[str]:
    return namespace.look(here, stack, "make", days).commands


def check(here: Settings, stack: Fake) -> None:
    """As `make up` does."""
    start = Start(here, stack, [], containers=False)
    checks.refuse(checks.temporal(start), "nothing was started or changed")


def test_right_namespace_passes_silently(settings: Load) -> None:
    stack = says()
    check(settings(TEMPORAL_ADDRESS=ELSEWHERE), stack)
    assert stack.asked == [("services.semaphore.namespace", "add", "3")]


def test_missing_namespace(settings: Load) -> None:
    here = settings(TEMPORAL_ADDRESS=ELSEWHERE, TEMPORAL_NAMESPACE="ours")
    stack = says(there=False, missing=BOTH, wrong="Temporal has no namespace ours")
    way = f"--address {ELSEWHERE} --namespace ours"
    mending = [
        f"temporal operator namespace create --retention 168h {way}",
        f"temporal operator search-attribute create --name CustomProgress --type Int {way}",
        f"temporal operator search-attribute create --name CustomTag --type Keyword {way}",
    ]
    assert commands(here, stack, days=7) == mending
    with pytest.raises(StackError) as refused:
        check(here, stack)
    told = str(refused.value).splitlines()
    assert told[0] == "Temporal: Temporal has no namespace ours: nothing was started or changed"
    assert told[2:] == [f"  {each}" for each in mending[1:]]
    assert refused.value.status == VERDICT


def test_commands_connect_like_the_services_and_show_no_key(settings: Load, tmp_path: Path) -> None:
    ca = tmp_path / "an authority.pem"
    ca.touch()
    here = settings(
        TEMPORAL_ADDRESS=ELSEWHERE,
        TEMPORAL_TLS="true",
        TEMPORAL_TLS_SERVER_CA_CERT_PATH=str(ca),
        TEMPORAL_API_KEY="sesame",
    )
    [command] = commands(here, says(missing={"CustomTag": "Keyword"}))
    assert command.endswith(
        f"--namespace default --tls-ca-path '{ca}' --tls --api-key \"$TEMPORAL_API_KEY\""
    )
    assert "sesame" not in command


def test_attribute_of_another_type_is_removed_first(settings: Load) -> None:
    found = says(missing={"CustomTag": "Keyword"}, instead={"CustomTag": "Int"})
    remove, create = commands(settings(TEMPORAL_ADDRESS=ELSEWHERE), found)
    assert "search-attribute remove --name CustomTag" in remove
    assert "search-attribute create --name CustomTag --type Keyword" in create


def test_on_temporal_cloud(settings: Load) -> None:
    here = settings(TEMPORAL_ADDRESS=CLOUD, TEMPORAL_NAMESPACE="ours.a1b2c")
    assert commands(here, says(missing=BOTH)) == [
        "tcld namespace search-attributes add --namespace ours.a1b2c"
        " --search-attribute CustomProgress=Int --search-attribute CustomTag=Keyword"
    ]
    assert commands(here, says(there=False, missing=BOTH))[0].startswith(
        "tcld namespace create --namespace ours.a1b2c --region REGION"
    )
    assert commands(here, says(refused="no", wrong="no")) == [
        "tcld namespace get --namespace ours.a1b2c"
    ]


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Fake:
    """What `make namespace` asks."""
    stack = says()
    monkeypatch.setattr(modes, "running_or_prepared", lambda _: stack)
    return stack


def test_added_attributes_are_reported(
    settings: Load, made: Fake, capsys: pytest.CaptureFixture[str]
) -> None:
    made.answers = says(done=["namespace ours"]).answers
    namespace.prepare(settings(TEMPORAL_ADDRESS=ELSEWHERE), {"DAYS": "7"})
    assert made.asked == [("services.semaphore.namespace", "make", "7")]
    assert capsys.readouterr().out.splitlines() == [
        "made: namespace ours",
        f"everything needed is there, at {ELSEWHERE}",
    ]


def test_missing_attributes_are_reported_with_the_commands(settings: Load, made: Fake) -> None:
    made.answers = says(wrong="it is missing", missing=BOTH).answers
    with pytest.raises(StackError) as refused:
        namespace.prepare(settings(TEMPORAL_ADDRESS=ELSEWHERE), {})
    first, *others = str(refused.value).splitlines()
    assert (first, refused.value.status) == ("it is missing", VERDICT)
    assert len(others) == 2
    assert all(each.startswith("  temporal operator search-attribute ") for each in others)
    made.answers = {"semaphore.namespace": Outcome(UNREACHABLE, "", "no answer")}
    with pytest.raises(StackError, match=f"{ELSEWHERE}: no answer") as refused:
        namespace.prepare(settings(TEMPORAL_ADDRESS=ELSEWHERE), {})
    assert refused.value.status == UNREACHABLE


@pytest.mark.parametrize("days", ["0", "x", "-1", "3651", "1.5", "9" * 5000])
def test_wrong_days(settings: Load, days: str) -> None:
    with pytest.raises(StackError, match="is not a whole number from 1 to 3650") as refused:
        namespace.prepare(settings(TEMPORAL_ADDRESS=ELSEWHERE), {"DAYS": days})
    assert refused.value.status == USAGE
    assert str(refused.value).startswith(f"wrong settings: DAYS={days[:200]}")


def test_own_server_that_is_down(settings: Load) -> None:
    with pytest.raises(StackError, match="everything it needs"):
        namespace.prepare(settings(), {})
