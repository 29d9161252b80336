"""Settings: the environment is read once, and every mistake in it is named in one line."""

import pytest

from services.worker.settings.worker import WorkerSettings
from shared.jobs.genvideo import GENVIDEO
from shared.pipeline.messages import StageLimits
from shared.pipeline.settings import host_of
from shared.settings.common import USAGE, load

SECRET = "0123456789abcdef0123456789abcdef"


@pytest.fixture(autouse=True)
def _environment(bare_environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALLBACK_SECRET", SECRET)


def test_defaults_are_those_of_a_stack_on_this_machine() -> None:
    settings = load(WorkerSettings)
    assert settings.image_service_url == "http://127.0.0.1:6889"
    assert settings.video_service_url == "http://127.0.0.1:16882"
    assert settings.inside_hosts() == {"127.0.0.1:6889", "127.0.0.1:16882"}
    assert settings.outside_hosts() == set()


def test_the_environment_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMAGE_SERVICE_URL", "https://comfy.example")
    monkeypatch.setenv("RESULT_HOSTS", "CDN.example:444, files.example ,")
    monkeypatch.setenv("IMAGE_ATTEMPT_SECONDS", "12.5")
    monkeypatch.setenv("JOB_SECONDS", "")
    settings = load(WorkerSettings)
    assert settings.inside_hosts() == {"comfy.example", "127.0.0.1:16882"}
    assert settings.outside_hosts() == {"cdn.example:444", "files.example"}
    limits = settings.limits()
    assert (limits.stages["image"].deadline, limits.job_seconds) == (12.5, 6 * 3600)


def test_a_clean_up_may_take_as_long_as_what_runs_and_what_is_accepted_late(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, seconds in {"DRAIN": 20, "ACCEPT": 3}.items():
        monkeypatch.setenv(f"{name}_SECONDS", str(seconds))
    assert load(WorkerSettings).limits().drain_bound == 23


@pytest.mark.parametrize(("step", "lost", "address"), [("image", 60, 60), ("video", 300, 7)])
def test_a_time_of_a_stage_is_its_setting_or_its_own(
    monkeypatch: pytest.MonkeyPatch, step: str, lost: float, address: float
) -> None:
    monkeypatch.setenv("VIDEO_ADDRESS_SECONDS", "7")
    stage = GENVIDEO.stage(step)
    assert load(WorkerSettings).limits().stages[step] == StageLimits(
        deadline=stage.deadline,
        setting=f"{step.upper()}_ATTEMPT_SECONDS",
        give_up=stage.give_up,
        lost=lost,
        address=address,
        poll=2,
    )


def test_every_mistake_is_named_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = {
        "IMAGE_SERVICE_URL": "comfy",
        "CALLBACK_SECRET": "too-short",
        "WORKER_HTTP_PORT": "99999",
        "JOB_SECONDS": "-1",
        "DRAIN_SECONDS": "soon",
        "ACCEPT_SECONDS": "0",
        "VIDEO_GIVE_UP_SECONDS": "never",
        "LOG_LEVEL": "LOUD",
    }
    for name, value in wrong.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as exit_:
        load(WorkerSettings)
    assert exit_.value.code == USAGE
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert all(f"{name}: " in line for name in wrong)
    assert "too-short" not in line


def test_a_missing_secret_is_a_mistake(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("CALLBACK_SECRET")
    with pytest.raises(SystemExit):
        load(WorkerSettings)
    assert "CALLBACK_SECRET: Field required" in capsys.readouterr().err


OLD = SECRET[::-1]


@pytest.mark.parametrize("secret", [SECRET, f"{SECRET},{OLD}"])
def test_a_secret_may_have_older_ones_behind_it(
    monkeypatch: pytest.MonkeyPatch, secret: str
) -> None:
    monkeypatch.setenv("CALLBACK_SECRET", secret)
    assert load(WorkerSettings).callback_secret.get_secret_value() == secret


@pytest.mark.parametrize(
    ("secret", "why"),
    [
        (SECRET[:-1], "each secret needs 32 characters or more"),
        (f"{SECRET},{OLD[:-1]}", "each secret needs 32 characters or more"),
        (f"{SECRET},", "each secret needs 32 characters or more"),
        (f"{SECRET}, {OLD}", "no blanks"),
    ],
)
def test_a_weak_secret_is_refused_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], secret: str, why: str
) -> None:
    monkeypatch.setenv("CALLBACK_SECRET", secret)
    with pytest.raises(SystemExit):
        load(WorkerSettings)
    line = capsys.readouterr().err
    assert f"CALLBACK_SECRET: {why}" in line
    assert secret not in line


def test_the_secret_is_not_shown() -> None:
    assert SECRET not in repr(load(WorkerSettings))


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://a:1/x", "a:1"),
        ("https://a/x/y", "a"),
        ("/x", ""),
        ("http://us:password@b:1/x", "b:1"),
        ("http://evil?@b/x", "evil"),
    ],
)
def test_host_of(url: str, host: str) -> None:
    assert host_of(url) == host


@pytest.mark.parametrize(
    "host",
    [
        "a",
        "a:1",
        "cdn.example:444",
        "*.cdn.example",
        "*.a.cdn.example:8443",
        "10.0.0.9:9000",
        "[::1]:80",
    ],
)
def test_results_may_come_from(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setenv("RESULT_HOSTS", f" {host.upper()},")
    assert load(WorkerSettings).outside_hosts() == {host}


def test_no_host_is_named_with_what_one_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = [
        *("*", "*.com", "*.", "a.*", "*.a.*", "*cdn.example", "*.1.2.3", "https://cdn.example"),
        *(
            "cdn.example/files",
            "cdn..example",
            ".cdn.example",
            "cdn.example:0",
            "cdn.example:65536",
        ),
        *("cdn.example:port", "us@cdn.example", "::1", "[10.0.0.1]", "*.cdn.example:", "a b"),
        *(f"{'a' * 64}.example", f"*.{'a' * 64}.example", "a..example", "a." * 130 + "example"),
    ]
    monkeypatch.setenv("RESULT_HOSTS", ",".join(["cdn.example", *wrong]))
    with pytest.raises(SystemExit):
        load(WorkerSettings)
    line = capsys.readouterr().err
    assert f"RESULT_HOSTS: no hosts: {', '.join(wrong)} (each is host, " in line
    assert line.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "on"),
    [("", ()), ("image", ("image",)), (" video , image ", ("image", "video")), (",", ())],
)
def test_the_gates_that_are_on(monkeypatch: pytest.MonkeyPatch, text: str, on: tuple[str]) -> None:
    monkeypatch.setenv("GATES", text)
    assert load(WorkerSettings).limits().gates == on


def test_a_gate_that_is_not_known_is_named_beside_those_that_are(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GATES", "image,gpu,job")
    with pytest.raises(SystemExit):
        load(WorkerSettings)
    line = capsys.readouterr().err
    assert "GATES: " in line
    assert f"no such gate: gpu, job; known are {', '.join(GENVIDEO.names)}" in line
