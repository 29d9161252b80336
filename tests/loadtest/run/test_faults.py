"""Faults are armed for a run and disarmed behind it; what a mock refuses is said, all of it."""

import json
from typing import Any

import httpx
import pytest

from loadtest.run.plan import PlanError
from loadtest.run.session import armed
from loadtest.wire.http import Http
from loadtest.wire.vendor import Vendor


class Mock:
    """The fault plan of one mock, behind HTTP."""

    def __init__(self, name: str) -> None:
        self.rules: list[dict[str, Any]] = [{"name": "the user's"}]
        self.asked: list[dict[str, Any]] = []
        transport = httpx.MockTransport(self.answer)
        self.vendor = Vendor(Http(f"http://{name}", transport=transport), name)

    def answer(self, request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            return self.add(json.loads(request.content))
        if request.method == "DELETE":
            gone = request.url.params["name"]
            self.rules = [rule for rule in self.rules if rule["name"] != gone]
        return httpx.Response(200, json={"rules": self.rules})

    def add(self, plan: dict[str, Any]) -> httpx.Response:
        self.asked.append(plan)
        if plan.get("preset") == "nonsense":
            return httpx.Response(422, json={"code": "bad_fault_plan", "detail": "no such preset"})
        self.rules += plan.get("rules") or [{"name": plan["preset"]}]
        return httpx.Response(200, json={})

    @property
    def names(self) -> list[str]:
        return [rule["name"] for rule in self.rules]


async def test_rules_hold_for_the_run_and_the_users_own_stay() -> None:
    image, video = Mock("image"), Mock("video")
    plans = ['{"preset": "p"}', '{"name": "r", "do": "x"}']

    async with armed([image.vendor, video.vendor], plans, seed=7):
        assert image.names == video.names == ["the user's", "p", "r"]
        assert video.asked == [
            {"seed": 7, "preset": "p"},
            {"seed": 7, "rules": [{"name": "r", "do": "x"}]},
        ]
    assert image.names == video.names == ["the user's"]


async def test_everything_that_is_refused_is_named_and_nothing_stays() -> None:
    image = Mock("image")

    with pytest.raises(PlanError) as caught:
        async with armed([image.vendor], ['{"preset": "p"}', '{"preset": "nonsense"}'], seed=7):
            pytest.fail("the run must not begin")

    assert caught.value.problems == [
        "the image service refuses the faults: 422 bad_fault_plan: no such preset"
    ]
    assert image.names == ["the user's"]


async def test_without_faults_no_mock_is_asked() -> None:
    image = Mock("image")
    async with armed([image.vendor], [], seed=7):
        pass

    assert image.asked == []
