"""A profile of Temporal's own file: as the SDK reads it, once, and never with a server of ours."""

from pathlib import Path

import pytest
from temporalio.envconfig import ClientConfigProfile

from compose.stack.errors import StackError
from compose.stack.settings import environment
from compose.stack.settings.load import load
from tests.compose.stack.conftest import Load

KEY = "a-key-of-the-tests"
PROFILES = f"""
[profile.default]
address = "default.example:7233"

[profile.cloud]
address = "cloud.example:7233"
namespace = "shop.a1b2c"
api_key = "{KEY}"
[profile.cloud.grpc_meta]
x-one = "1"

[profile.certified]
address = "own.example:7233"
[profile.certified.tls]
server_name = "inside.example"
client_cert_path = "cert.pem"
client_key_data = "-----BEGIN-----\\n"
server_ca_cert_path = "ca.pem"

[profile.plain]
address = "127.0.0.1:7999"
[profile.plain.tls]
disabled = true

[profile.nowhere]
namespace = "shop"
api_key = "{KEY}"
"""
# The SDK reads nothing of a file with one such mistake in it.
WRONG = """
[profile.typed]
address = 7233
[profile.tabled]
address = "a:1"
tls = "on"
"""


@pytest.fixture
def file(root: Path) -> Path:
    for name in ("cert.pem", "ca.pem"):
        (root / name).write_text("-----BEGIN-----\nx\n")
    path = root / "temporal.toml"
    path.write_text(PROFILES)
    return path


@pytest.mark.parametrize("name", ["default", "cloud", "certified", "plain"])
def test_it_says_what_the_sdk_reads_in_it(
    settings: Load, file: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(file.parent)
    named = {"TEMPORAL_PROFILE": name, "TEMPORAL_CONFIG_FILE": str(file)}
    found = settings(**named)
    told = ClientConfigProfile.load(disable_file=True, override_env_vars=dict(found.values))
    read = ClientConfigProfile.load(override_env_vars=named)
    assert told.to_client_connect_config() == read.to_client_connect_config()
    assert not found.own_temporal
    assert named.keys().isdisjoint(found.values)


def test_a_file_alone_means_its_default_and_a_profile_alone_the_usual_file(
    settings: Load, file: Path, tmp_path: Path
) -> None:
    assert settings(TEMPORAL_CONFIG_FILE="temporal.toml").values == {
        "TEMPORAL_ADDRESS": "default.example:7233"
    }
    for home in ({"HOME": str(tmp_path / "home")}, {"XDG_CONFIG_HOME": str(tmp_path / "xdg")}):
        folder = tmp_path / ("home/.config" if "HOME" in home else "xdg") / "temporalio"
        folder.mkdir(parents=True)
        (folder / "temporal.toml").write_text(PROFILES)
        found = settings(TEMPORAL_PROFILE="plain", **home)
        assert found.values["TEMPORAL_ADDRESS"] == "127.0.0.1:7999"


def test_a_file_that_nobody_named_is_not_read(settings: Load, tmp_path: Path) -> None:
    folder = tmp_path / ".config" / "temporalio"
    folder.mkdir(parents=True)
    (folder / "temporal.toml").write_text(PROFILES)
    found = settings(HOME=str(tmp_path))
    assert (found.own_temporal, found.values) == (True, {})


def test_what_is_set_counts_before_it(root: Path, file: Path) -> None:
    (root / ".env").write_text("TEMPORAL_PROFILE=certified\nTEMPORAL_CONFIG_FILE=temporal.toml\n")
    pem = "-----BEGIN-----\ny\n"
    found = load(root, {"TEMPORAL_ADDRESS": "t:1", "TEMPORAL_TLS_CLIENT_CERT_DATA": pem})
    assert found.values["TEMPORAL_ADDRESS"] == "t:1"
    assert found.values["TEMPORAL_TLS_CLIENT_CERT_DATA"] == pem
    assert "TEMPORAL_TLS_CLIENT_CERT_PATH" not in found.values
    assert found.values["TEMPORAL_TLS_SERVER_NAME"] == "inside.example"


def test_every_client_is_told_it_and_none_reads_it(settings: Load, file: Path) -> None:
    found = settings(TEMPORAL_PROFILE="cloud", TEMPORAL_CONFIG_FILE="temporal.toml")
    told = [environment.local_service(found, name) for name in ("worker", "api", "semaphore")]
    inside = environment.for_compose(found)
    for env in (*told, environment.local_loadtest(found), inside):
        assert env["TEMPORAL_ADDRESS"] == "cloud.example:7233"
        assert env["TEMPORAL_NAMESPACE"] == "shop.a1b2c"
        assert env["TEMPORAL_API_KEY"] == KEY
        assert "TEMPORAL_PROFILE" not in env
        assert "TEMPORAL_CONFIG_FILE" not in env
    assert inside["COMPOSE_PROFILES"] == ""


def test_its_certificates_go_into_containers_by_value(settings: Load, file: Path) -> None:
    found = settings(TEMPORAL_PROFILE="certified", TEMPORAL_CONFIG_FILE="temporal.toml")
    env = environment.for_compose(found)
    assert env["TEMPORAL_TLS_CLIENT_CERT_DATA"] == "-----BEGIN-----\nx\n"
    assert env["TEMPORAL_TLS_CLIENT_KEY_DATA"] == "-----BEGIN-----\n"


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ({"TEMPORAL_PROFILE": "nowhere"}, "TEMPORAL_PROFILE=nowhere (environment) has no address"),
        ({"TEMPORAL_PROFILE": "other"}, "has no profile other"),
        ({"TEMPORAL_PROFILE": "typed"}, "its address is no text"),
        ({"TEMPORAL_PROFILE": "tabled"}, "its tls is no table"),
        ({"TEMPORAL_CONFIG_FILE": "missing.toml"}, "No such file or directory"),
        ({"TEMPORAL_CONFIG_FILE": "cert.pem"}, "is no TOML"),
        (
            {"TEMPORAL_CONFIG_FILE": ".env.example"},
            "TEMPORAL_CONFIG_FILE=.env.example (environment)",
        ),
    ],
)
def test_one_that_names_no_server_is_refused(
    settings: Load, file: Path, named: dict[str, str], said: str
) -> None:
    file.write_text(PROFILES + WRONG)
    with pytest.raises(StackError) as caught:
        settings(**{"TEMPORAL_CONFIG_FILE": str(file)} | named)
    assert said in str(caught.value)
    assert KEY not in str(caught.value)


def test_a_wrong_value_is_told_as_the_profiles(settings: Load, file: Path) -> None:
    file.write_text('[profile.default]\naddress = "somewhere"\n')
    with pytest.raises(StackError) as caught:
        settings(TEMPORAL_CONFIG_FILE=str(file))
    assert "TEMPORAL_ADDRESS=somewhere (the profile) is not host:port" in str(caught.value)
