"""By a proxy: both vendors and results, never what is near; which names, is still ours to say."""

from pathlib import Path
from typing import Any

import certifi
import httpx
import pytest
from pydantic import ValidationError

from services.worker.settings.worker import WorkerSettings
from services.worker.vendors.chosen import chosen_images, chosen_videos
from shared.errors import NeverDelivered, OutcomeUnknown, ResultNotAllowed
from shared.http.client import http_client
from shared.pipeline.fetching import result_transport
from tests.fixtures.streams import Proxy, proxy_to, tls_host
from tests.services.mock_core.serving import Receiver, served
from tests.services.worker import samples

LOGIN = "us:a-password-of-the-tests"
IMAGES, VIDEOS, CDN = "comfy.example:8188", "kling.example", "v15.cdn.example"


def settings_by(proxy: Proxy | str, login: str = LOGIN, **more: str) -> WorkerSettings:
    return WorkerSettings.model_validate(
        {
            "callback_secret": "0" * 32,
            "image_service_url": f"http://{IMAGES}",
            "video_service_url": f"http://{VIDEOS}",
            "result_hosts": "*.cdn.example,10.0.0.9:9000",
            "vendor_proxy": proxy.url(login) if isinstance(proxy, Proxy) else proxy or None,
            **more,
        }
    )


async def fetched(settings: WorkerSettings, url: str) -> httpx.Response:
    async with http_client(transport=result_transport(settings)) as http:
        return await http.get(url)


async def unknown(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 404, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def port_of(base: str) -> int:
    return int(base.rpartition(":")[2])


async def test_both_vendors_are_called_through_it() -> None:
    async with served(unknown) as base:
        ways = dict.fromkeys((IMAGES, VIDEOS), port_of(base))
        async with proxy_to(ways, LOGIN) as proxy:
            settings = settings_by(proxy)
            async with chosen_images(settings) as images, chosen_videos(settings) as videos:
                assert await images.status("job") is None
                assert await videos.status("job") is None
    assert proxy.asked == [
        f"GET http://{IMAGES}/img/status/job",
        f"GET http://{VIDEOS}/video/status/job",
    ]


async def test_result_is_fetched_through_a_tunnel_to_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TLS is between us and the host: the proxy sees a name and a port."""
    async with tls_host(CDN, samples.png(), tmp_path) as (port, certificate):
        monkeypatch.setattr(certifi, "where", lambda: str(certificate))
        async with proxy_to({f"{CDN}:443": port}, LOGIN) as proxy:
            answer = await fetched(settings_by(proxy), f"https://{CDN}/1.png?sig=1")
    assert answer.content == samples.png()
    assert proxy.asked == [f"CONNECT {CDN}:443"]


async def test_result_of_a_plain_http_vendor_is_fetched() -> None:
    receiver = Receiver()
    async with served(receiver) as base, proxy_to({IMAGES: port_of(base)}, LOGIN) as proxy:
        assert (await fetched(settings_by(proxy), f"http://{IMAGES}/view?name=1")).is_success
    assert proxy.asked == [f"GET http://{IMAGES}/view?name=1"]
    assert [headers["host"] for headers in receiver.headers] == [IMAGES]


@pytest.mark.parametrize(
    "url",
    [
        "https://cdn.example/1",
        "https://evil.example/1",
        "http://127.0.0.1:1/1",
        "http://169.254.169.254/latest",
        "http://[::1]/1",
        "http://localhost/1",
        "http://metadata/1",
        "http://2130706433/1",
        "https://93.184.216.34/1",
    ],
)
async def test_only_vendors_are_called_through_it(url: str) -> None:
    async with proxy_to({}, LOGIN) as proxy:
        with pytest.raises(ResultNotAllowed):
            await fetched(settings_by(proxy), url)
    assert proxy.asked == []


async def test_near_hosts_bypass_it() -> None:
    receiver = Receiver()
    async with served(receiver) as base, proxy_to({}, LOGIN) as proxy:
        url = base.replace("127.0.0.1", "localhost")
        settings = settings_by(proxy, image_service_url=url, video_service_url=base)
        for each in (url, base):
            assert (await fetched(settings, f"{each}/view")).is_success
        async with chosen_images(settings) as images, chosen_videos(settings) as videos:
            for vendor in (images, videos):
                with pytest.raises(OutcomeUnknown):
                    await vendor.status("job")
    assert proxy.asked == []
    assert len(receiver.headers) == 4


NEAR = ["127.0.0.1", "localhost", "[::1]", "10.1.2.3", "192.168.1.7", "mock-comfyui", "[fd00::1]"]
FAR = ["comfy.example", "comfy.lan", "93.184.216.34", "[2606:2800:220:1::1]"]


@pytest.mark.parametrize("host", [*NEAR, "host.docker.internal"])
def test_near_is_this_machine_and_its_networks(host: str) -> None:
    assert settings_by("http://proxy:3128").proxy_for(f"http://{host}:8188/base") is None


@pytest.mark.parametrize("host", FAR)
def test_other_hosts_are_not_near(host: str) -> None:
    proxy = "http://proxy:3128"
    assert settings_by(proxy).proxy_for(f"http://{host}:8188/base") == proxy
    assert settings_by("").proxy_for(f"http://{host}:8188/base") is None


@pytest.mark.parametrize("login", ["us:another", ""])
async def test_refusal_of_the_proxy_means_not_delivered(login: str) -> None:
    async with proxy_to({}, LOGIN) as proxy:
        settings = settings_by(proxy, login, image_service_url="https://comfy.example")
        async with chosen_images(settings) as images:
            with pytest.raises(NeverDelivered, match="ProxyError: 407") as refused:
                await images.submit("job", 1, prompt="p", style="")
    assert proxy.asked == ["CONNECT comfy.example:443"]
    assert "another" not in refused.value.message
    # It is gone.
    async with chosen_images(settings) as images:
        with pytest.raises(NeverDelivered) as refused:
            await images.submit("job", 1, prompt="p", style="")
    assert "another" not in refused.value.message


@pytest.mark.parametrize(
    "proxy",
    [
        *("proxy:3128", "socks5://proxy:1080", "http://", "http://proxy:3128/path", "ftp://proxy"),
        *("http://a-password:b@proxy:99999", "http://a-password@b@proxy:3128", "http://pro xy:1"),
    ],
)
def test_invalid_proxy_is_refused_and_hidden(proxy: str) -> None:
    with pytest.raises(ValidationError) as refused:
        settings_by(proxy)
    [mistake] = refused.value.errors(include_input=False, include_url=False)
    assert mistake["loc"] == ("vendor_proxy",)
    assert "a-password" not in mistake["msg"]
    assert LOGIN not in repr(settings_by(f"http://{LOGIN}@proxy:1"))
