"""What a caller ordered, whichever wire it came by; not accepted yet."""

from typing import Any

from fastapi import Request

from services.mock_core.headers import base_url, find_tag, slot_token
from services.mock_core.ledger.generation import Generation
from services.mock_core.mock import Mock
from services.mock_kling.tasks import new_task_id


def ordered(
    request: Request,
    mock: Mock,
    *,
    external_id: str | None,
    prompt: str,
    image: str | bytes,
    callback_url: str | None,
    public: bool = False,
    detail: dict[str, Any],
) -> Generation:
    """`image` is an address or the picture itself.

    Problem (1201) where nobody calls back there; with `public`, neither this machine's network.
    """
    request.app.state.reach.check_callback(callback_url, public=public)
    job, attempt = mock.jobs.find(external_id, prompt)
    return Generation(
        id=new_task_id(),
        external_id=external_id,
        job=job,
        attempt=attempt,
        prompt=prompt,
        style="",
        tag=find_tag(request, prompt),
        base_url=base_url(request),
        token=slot_token(request),
        callback_url=callback_url,
        image_source=image,
        detail=detail,
    )
