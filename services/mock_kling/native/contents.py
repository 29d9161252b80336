"""The vendor's own request, second generation (documented, not captured)."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from services.mock_core.http.problems import Problem
from services.mock_kling.native.reading import CallbackUrl, ExternalId
from services.mock_kling.native.wire import BAD_MEMBER

Kind = Literal["prompt", "first_frame", "last_frame", "element"]
MODES = {"720p": "std", "1080p": "pro", "4k": "4k"}
SECOND = "second"


class Content(BaseModel):
    """A part of the input; which members it has depends on its type."""

    type: Kind
    text: Annotated[str, Field(max_length=3072)] = ""
    url: str = ""


class Settings(BaseModel):
    audio: Literal["native", "off"] = "off"
    resolution: Literal["720p", "1080p", "4k"] = "720p"
    duration: Annotated[int, Field(ge=3, le=15)] = 5


class Options(BaseModel):
    callback_url: CallbackUrl = None
    external_task_id: ExternalId = None


class CreateFromContents(BaseModel):
    """Members that are not listed are ignored."""

    contents: Annotated[list[Content], Field(min_length=1, max_length=20)]
    settings: Settings = Settings()
    options: Options = Options()

    @property
    def prompt(self) -> str:
        """Empty where none is among the contents."""
        return self._only("prompt").text

    @property
    def first_frame(self) -> str:
        """Problem (1201) where there is none."""
        found = self._only("first_frame").url
        if not found:
            raise Problem(400, BAD_MEMBER, detail="contents: first_frame with a url is required")
        return found

    @property
    def last_frame(self) -> str:
        """Empty where none is among the contents."""
        return self._only("last_frame").url

    def detail(self, model: str) -> dict[str, Any]:
        """What the price depends on, and in which form the task is told."""
        return {
            "model": model,
            "mode": MODES[self.settings.resolution],
            "duration": str(self.settings.duration),
            "sound": "on" if self.settings.audio == "native" else "off",
            "strict": True,
            "generation": SECOND,
        }

    def _only(self, kind: Kind) -> Content:
        """The one content of a kind, an empty one where there is none; Problem for a second."""
        found = [content for content in self.contents if content.type == kind]
        if len(found) > 1:
            raise Problem(400, BAD_MEMBER, detail=f"contents: only one {kind} is allowed")
        return found[0] if found else Content(type=kind)
