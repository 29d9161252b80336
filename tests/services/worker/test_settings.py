"""Settings: the environment is read once, and every mistake in it is named in one line."""

from typing import Any

import pytest

from services.worker.settings.vendors import headers_of
from shared.jobs.genvideo import GENVIDEO
from shared.pipeline.messages import StageLimits
from shared.pipeline.settings import host_of
from tests.services.worker.conftest import SECRET, Loads, Refuses
from tests.services.worker.graphs.examples import WITH_MODEL


def test_defaults_fit_a_stack_on_this_machine(loads: Loads) -> None:
    settings = loads()
    assert settings.image_service_url == "http://127.0.0.1:6889"
    assert settings.video_service_url == "http://127.0.0.1:16882"
    assert settings.inside_hosts() == {"127.0.0.1:6889", "127.0.0.1:16882"}
    assert settings.outside_hosts() == set()
    assert loads(KLING_ACCESS_KEY="half", COMFYUI_WORKFLOW="/nowhere").image_api == "service"


def test_environment_overrides_the_defaults(loads: Loads) -> None:
    settings = loads(
        IMAGE_SERVICE_URL="https://comfy.example",
        RESULT_HOSTS="CDN.example:444, files.example ,",
        IMAGE_ATTEMPT_SECONDS="12.5",
        JOB_SECONDS="",
    )
    assert settings.inside_hosts() == {"comfy.example", "127.0.0.1:16882"}
    assert settings.outside_hosts() == {"cdn.example:444", "files.example"}
    limits = settings.limits()
    assert (limits.stages["image"].deadline, limits.job_seconds) == (12.5, 6 * 3600)


@pytest.mark.parametrize(("step", "lost"), [("image", 60), ("video", 7)])
def test_time_of_a_stage_has_a_setting_and_a_default(loads: Loads, step: str, lost: float) -> None:
    stage = GENVIDEO.stage(step)
    assert loads(VIDEO_LOST_SECONDS=7).limits().stages[step] == StageLimits(
        deadline=stage.deadline,
        setting=f"{step.upper()}_ATTEMPT_SECONDS",
        give_up=stage.give_up,
        lost=lost,
        poll=2,
    )


def test_every_mistake_is_named_in_one_line(refuses: Refuses) -> None:
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
    line = refuses(**wrong)
    assert all(f"{name}: " in line for name in wrong)
    assert "too-short" not in line


OLD = SECRET[::-1]


@pytest.mark.parametrize("secret", [SECRET, f"{SECRET},{OLD}"])
def test_older_secrets_may_follow(loads: Loads, secret: str) -> None:
    settings = loads(CALLBACK_SECRET=secret)
    assert settings.callback_secret.get_secret_value() == secret
    assert secret not in repr(settings)


def test_weak_secret_is_refused_with_the_reason(refuses: Refuses) -> None:
    for secret, why in (
        ("", "Field required"),
        (SECRET[:-1], "each secret needs 32 characters or more"),
        (f"{SECRET},{OLD[:-1]}", "each secret needs 32 characters or more"),
        (f"{SECRET},", "each secret needs 32 characters or more"),
        (f"{SECRET}, {OLD}", "no blanks"),
    ):
        line = refuses(CALLBACK_SECRET=secret)
        assert f"CALLBACK_SECRET: {why}" in line
        assert not secret or secret not in line


def test_host_of() -> None:
    for url, host in (
        ("https://a/x/y", "a"),
        ("/x", ""),
        ("http://us:password@b:1/x", "b:1"),
        ("http://evil?@b/x", "evil"),
    ):
        assert host_of(url) == host


HOSTS = ["a", "a:1", "cdn.example:444", "*.cdn.example", "10.0.0.9:9000", "[::1]:80"]


@pytest.mark.parametrize("host", [*HOSTS, "*.a.cdn.example:8443"])
def test_results_may_come_from(loads: Loads, host: str) -> None:
    assert loads(RESULT_HOSTS=f" {host.upper()},").outside_hosts() == {host}


def test_wrong_host_is_explained(refuses: Refuses) -> None:
    wrong = [
        *("*", "*.com", "*.", "a.*", "*.a.*", "*cdn.example", "*.1.2.3", "https://cdn.example"),
        *("cdn.example/files", "cdn..example", ".cdn.example", "cdn.example:0"),
        *("cdn.example:65536", "cdn.example:port", "us@cdn.example", "::1", "[10.0.0.1]"),
        *("*.cdn.example:", "a b", f"{'a' * 64}.example", f"*.{'a' * 64}.example"),
        *("a..example", "a." * 130 + "example"),
    ]
    line = refuses(RESULT_HOSTS=",".join(["cdn.example", *wrong]))
    assert f"RESULT_HOSTS: not hosts: {', '.join(wrong)} (each is host, " in line


@pytest.mark.parametrize(
    ("text", "on"),
    [("", ()), ("image", ("image",)), (" video , image ", ("image", "video")), (",", ())],
)
def test_enabled_gates(loads: Loads, text: str, on: tuple[str]) -> None:
    assert loads(GATES=text).limits().gates == on


def test_unknown_gate_is_named_with_the_known_ones(refuses: Refuses) -> None:
    known = ", ".join(GENVIDEO.names)
    line = refuses(GATES="image,gpu,job")
    assert "GATES: " in line
    assert f"no such gate: gpu, job; known are {known}" in line


# Kling's


KEY = {"KLING_API_KEY": "key-of-the-test"}
PAIR = {"KLING_ACCESS_KEY": "access-of-the-test", "KLING_SECRET_KEY": "secret-of-the-test"}
KEYS = (*KEY.values(), *PAIR.values())


def with_key(**more: str) -> dict[str, str]:
    return KEY | more


def test_valid_combinations(loads: Loads) -> None:
    for given, model in (
        (KEY, "kling-v2-6"),
        (PAIR, "kling-v2-6"),
        (with_key(KLING_DURATION="10", KLING_MODE="pro", KLING_SOUND="on"), "kling-v2-6"),
        (with_key(KLING_MODEL="kling-v3", KLING_DURATION="3", KLING_MODE="4k"), "kling-v3"),
        (with_key(KLING_MODEL="kling-v3-omni", KLING_DURATION="15"), "kling-v3-omni"),
        (with_key(KLING_EXTRA='{"cfg_scale": 0.5}'), "kling-v2-6"),
    ):
        settings = loads(VIDEO_API="kling", **given)
        assert settings.model == model
        assert not any(value in repr(settings) for value in KEYS)


def test_invalid_combinations(refuses: Refuses) -> None:
    for given, why in (
        ({}, "VIDEO_API=kling needs either KLING_API_KEY, or KLING_ACCESS_KEY with"),
        (KEY | PAIR, "not both"),
        ({"KLING_ACCESS_KEY": "a"}, "go together"),
        ({"KLING_API_KEY": "a key"}, "KLING_API_KEY: not a key"),
        (PAIR | {"KLING_ACCESS_KEY": "schlüssel"}, "KLING_ACCESS_KEY: not a key"),
        (with_key(KLING_SECRET_KEY="s"), "go together"),
        (with_key(KLING_DURATION="7"), "KLING_DURATION=7: kling-v2-6 makes 5 or 10 seconds"),
        (with_key(KLING_DURATION="16"), "KLING_DURATION: Input should be less than or equal to 15"),
        (with_key(KLING_MODE="4k"), "KLING_MODE=4k: kling-v2-6 has std and pro"),
        (with_key(KLING_MODEL="kling v1"), "KLING_MODEL: "),
        (with_key(KLING_EXTRA="{"), "KLING_EXTRA: is not a JSON object"),
        (
            with_key(KLING_EXTRA='{"image": "x", "external_task_id": "y", "cfg_scale": 1}'),
            "KLING_EXTRA: sets what other settings set: external_task_id, image",
        ),
    ):
        line = refuses(VIDEO_API="kling", **given)
        assert why in line
        assert not any(value in line for value in KEYS)


# A ComfyUI's


PASSWORD = "hunter2hunter2"
COMFYUI: dict[str, Any] = {"IMAGE_API": "comfyui", "COMFYUI_WORKFLOW": WITH_MODEL}


def test_workflow_is_read_and_bound(loads: Loads) -> None:
    settings = loads(**COMFYUI, COMFYUI_WIDTH="640", COMFYUI_PROMPT="best {prompt}")
    assert (settings.plan.width, settings.plan.height) == (640, None)
    assert settings.plan.template == "best {prompt}"
    assert settings.model_copy(update={"image_service_url": "http://x"}).plan is settings.plan


def test_mistake_follows_its_setting(refuses: Refuses) -> None:
    for given, said in (
        ({"COMFYUI_WORKFLOW": ""}, "COMFYUI_WORKFLOW: IMAGE_API=comfyui needs"),
        ({"COMFYUI_WORKFLOW": "/nowhere.json"}, "COMFYUI_WORKFLOW: it can't be read"),
        ({"COMFYUI_BINDINGS": "prompt=6.txt"}, "COMFYUI_BINDINGS: prompt=6.txt: node 6"),
        ({"COMFYUI_OUTPUT": "66"}, "COMFYUI_OUTPUT: 66: there is no such node"),
        ({"COMFYUI_PROMPT": "a cat"}, "COMFYUI_PROMPT: it must have {prompt} in it"),
        ({"COMFYUI_WIDTH": "8"}, "COMFYUI_WIDTH: "),
        ({"IMAGE_API": "comfy"}, "IMAGE_API: "),
        ({"IMAGE_SERVICE_URL": "http://x/?token=k"}, "IMAGE_SERVICE_URL: no query"),
    ):
        assert f"wrong settings: {said}" in refuses(**COMFYUI | given)


def test_headers_are_pairs(loads: Loads) -> None:
    for text, headers in (
        ("", {}),
        (f"X-API-Key: {PASSWORD}", {"X-API-Key": PASSWORD}),
        (
            f"Authorization:Bearer {PASSWORD} , X-B:1",
            {"Authorization": f"Bearer {PASSWORD}", "X-B": "1"},
        ),
        ("Cookie: a=1; b=2", {"Cookie": "a=1; b=2"}),
    ):
        settings = loads(**COMFYUI, COMFYUI_HEADERS=text)
        assert headers_of(settings.comfyui_headers) == headers
        assert PASSWORD not in repr(settings)


def test_malformed_headers_are_one_line_without_them(refuses: Refuses) -> None:
    for text, why in (
        (PASSWORD, "the pair 1 is not Name: value"),
        (f"X-A: 1,{PASSWORD}", "the pair 2 is not Name: value"),
        (f"X-A: {PASSWORD}\nX-B: 2", "the pair 1 is not Name: value"),
        ("X-A:", "the pair 1 is not Name: value"),
        (f"Origin: {PASSWORD}", "Origin can't be set"),
        (f"host: {PASSWORD}", "host can't be set"),
    ):
        line = refuses(**COMFYUI, COMFYUI_HEADERS=text)
        assert line == f"wrong settings: COMFYUI_HEADERS: {why}\n"
