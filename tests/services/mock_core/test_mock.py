"""What a mock does as a whole: a reset leaves nothing behind."""

from tests.services.mock_core.serving import kling, receiving, running


async def test_a_run_that_ends_during_a_reset_announces_nothing(picture_url: str) -> None:
    late = {"where": "callback", "do": "delay", "match": {"status": "processing"}}
    # Slow enough that nothing ends before the clock is turned up.
    async with receiving() as receiver, running(kling(mock_speed=5)) as video:
        await video.arm({"where": "start", "do": "fail"}, late)
        for name in ("a.video.1", "b.video.1", "c.video.1"):
            order = {"image_url": picture_url, "external_task_id": name}
            await video.post("/video/submit", {**order, "callback_url": receiver.url})
        await video.until("/video/status/c.video.1", lambda it: it["status"] == "processing")
        mock = video.app.state.mock
        mock.clock.set_speed(1_000_000)
        await mock.reset()
        assert mock.sender.pending == 0
