"""The known pipelines: genvideo, and those that PIPELINES names by import path."""

from collections.abc import Iterator, Mapping
from pkgutil import resolve_name
from typing import Annotated

from pydantic import AfterValidator
from pydantic_settings import BaseSettings

from shared.jobs.genvideo import GENVIDEO
from shared.pipeline.definition import Definition


def _are_there(text: str) -> str:
    """Import the pipelines now, so that a wrong name is reported before anything starts."""
    names = [GENVIDEO.name, *(each.name for each in _named(text))]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"names {', '.join(twice)} twice")
    return text


def _named(text: str) -> Iterator[Definition]:
    for path in filter(None, map(str.strip, text.split(","))):
        try:
            found = resolve_name(path) if ":" in path else None
        except (ImportError, AttributeError, ValueError) as error:
            raise ValueError(f"{path} can't be imported: {error}") from None
        if not isinstance(found, Definition):
            raise ValueError(f"{path} is not package.module:NAME of a pipeline's definition")
        yield found


def pipelines_of(text: str) -> Mapping[str, Definition]:
    """Return every pipeline by its name, genvideo first."""
    return {each.name: each for each in (GENVIDEO, *_named(text))}


class PipelineSettings(BaseSettings):
    """A part of the settings of each service that knows any pipeline."""

    pipelines: Annotated[str, AfterValidator(_are_there)] = ""

    @property
    def known(self) -> Mapping[str, Definition]:
        return pipelines_of(self.pipelines)
