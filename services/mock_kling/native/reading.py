"""Reads what a caller of the vendor's own wire sends; mistakes are told in the vendor's words."""

from typing import Annotated, TypeVar

from fastapi import Request
from pydantic import BaseModel, BeforeValidator, Field, ValidationError

from services.mock_core.problems import Problem
from services.mock_kling.catalogue import Model
from services.mock_kling.native.wire import BAD_BODY, BAD_MEMBER, NO_RESOURCE
from services.mock_kling.video.pictures import BadPicture, check, decode
from shared.http.mistakes import MOST

Wanted = TypeVar("Wanted", bound=BaseModel)
# What is empty was not given, as in the vendor's own examples.
_or_none = BeforeValidator(lambda value: value or None)
CallbackUrl = Annotated[
    Annotated[str, Field(pattern=r"^https?://[^\s/]+", max_length=2048)] | None, _or_none
]
ExternalId = Annotated[Annotated[str, Field(max_length=255)] | None, _or_none]


async def read(request: Request, kind: type[Wanted]) -> Wanted:
    """The body as a `kind`; Problem (400) that names every mistake."""
    try:
        return kind.model_validate_json(await request.body())
    except ValidationError as error:
        first = error.errors()[0]
        code = BAD_BODY if first["type"] == "json_invalid" or not first["loc"] else BAD_MEMBER
        mistakes = "; ".join(
            f"{'.'.join(str(part) for part in item['loc']) or 'body'}: {item['msg']}"
            for item in error.errors()[:MOST]
        )
        raise Problem(400, code, detail=mistakes) from error


def picture(image: str) -> str | bytes:
    """The address as it is, or the picture; Problem (1201) where the vendor takes no such one."""
    if image.startswith(("http://", "https://")):
        return image
    try:
        found = decode(image)
        check(found)
    except BadPicture as error:
        raise Problem(400, BAD_MEMBER, detail=str(error)) from error
    return found


def check_order(
    model: Model | None, name: str, *, mode: str, seconds: int, sound: bool, last_frame: bool
) -> None:
    """Problem where there is no such model (1203), or it can't do that (1201)."""
    if model is None:
        raise Problem(404, NO_RESOURCE, detail=f"model {name[:100]} does not exist")
    reason = model.refusal(mode=mode, seconds=seconds, sound=sound, last_frame=last_frame)
    if reason is not None:
        raise Problem(400, BAD_MEMBER, detail=reason)
